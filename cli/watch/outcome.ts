/** What the state of a migration means to whoever waited for it: whether the wait is over, and how it went. */

import { FAULTS, isFaultCode } from "../../proto/fault.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { renderDetail } from "../output/failure.js";
import { printable } from "../output/printable.js";
import { formatBytes, formatDuration } from "../output/units.js";

const ENDED = ["confirmed", "reverted", "error"];

/** `finished` is Nova's VERIFY_RESIZE: the server runs on the target and a person decides. */
export function isAtRest({ status }: Migration, untilEnded: boolean): boolean {
  return ENDED.includes(status) || status === "stuck" || (status === "finished" && !untilEnded);
}

/** What a command was for: the statuses with which it has succeeded. */
const SUCCESS = {
  migrate: ["finished", "confirmed"],
  confirm: ["confirmed"],
  revert: ["reverted"],
  /** Whatever a person decided. */
  end: ["finished", "confirmed", "reverted"],
} as const satisfies Record<string, readonly string[]>;

export type Wanted = keyof typeof SUCCESS;

export function exitCodeOf(migration: Migration, wanted: Wanted): number {
  const { status, fault } = migration;
  if (status === "stuck") return FAULTS.stuck.exit;
  const good: readonly string[] = SUCCESS[wanted];
  if (good.includes(status)) return 0;
  const code = fault?.code ?? "";
  return wasUntouched(migration) && isFaultCode(code) ? FAULTS[code].exit : FAULTS.failed.exit;
}

/** It ended before anything was done to the guest: that is a refusal, with the exit code of its reason. */
const wasUntouched = ({ status, steps }: Migration): boolean =>
  status === "error" && steps.some(({ name, startedAtMs }) => name === "stop-source" && startedAtMs === 0);

/** The end of the story, for a person: what is now the case, and what to do. */
export function describeOutcome(migration: Migration): string {
  return `${sentence(migration)}\n${migration.fault === undefined ? "" : renderDetail(migration.fault)}`;
}

function sentence(migration: Migration): string {
  const { id, status, sourceHost, targetHost, serverName, fault } = migration;
  const because = fault === undefined ? "" : `: ${fault.message}`;
  const sentences: Record<string, string> = {
    finished: `${serverName} is on ${targetHost}${measures(migration)}. Next: ferry server confirm ${serverName}, or ferry server revert ${serverName}`,
    confirmed:
      sourceHost === targetHost
        ? `${serverName} stays as it is on ${targetHost}; what it was before is gone (migration ${id})`
        : `${serverName} stays on ${targetHost}; what ${sourceHost} kept of it is gone (migration ${id})`,
    reverted: `${serverName} is back on ${sourceHost}, as it was before (migration ${id})`,
    error: wasUntouched(migration)
      ? `Migration ${id} was refused${because}. ${serverName} is on ${sourceHost} and was not touched`
      : `Migration ${id} failed${because}. ${serverName} is on ${sourceHost}, as it was`,
    stuck: `Migration ${id} is stuck and needs a person${because}. Next: ferry migration recover ${id} --plan`,
  };
  return printable(sentences[status] ?? `Migration ${id} is ${status}`);
}

function measures({ downtimeMs, receipt }: Migration): string {
  const bytesOf = (isCloned: boolean) =>
    receipt
      .filter(({ mode }) => (mode === "cloned") === isCloned)
      .reduce((sum, file) => sum + file.dataBytes, 0);
  const said = (bytes: number, how: string) => (bytes > 0 ? `, ${formatBytes(bytes)} ${how}` : "");
  const copied = `${said(bytesOf(false), "copied and verified")}${said(bytesOf(true), "cloned")}`;
  const down = downtimeMs > 0 ? `, guest down for ${formatDuration(downtimeMs)}` : "";
  return `${copied}${down}`;
}
