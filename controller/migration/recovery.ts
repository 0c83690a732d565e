/** What both hosts say of a migration, and what carrying it on would do: for a person to read before deciding. */

import { asFault } from "../../proto/fault.js";
import type { AttestResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { SagaState } from "../saga/fold.js";
import { nextAction } from "../saga/next-action.js";
import type { MigrationRecord } from "../store/migrations.js";
import type { MigrationDependencies } from "./dependencies.js";
import { story } from "./story.js";

const LOOK_LIMIT_MS = 10_000;

/** One line per host; a host that does not answer is said to be unknown, not absent. */
export async function findingsOf(
  { sourceHost, targetHost, serverId }: MigrationRecord,
  { agent }: Pick<MigrationDependencies, "agent">,
): Promise<string[]> {
  const sides = [
    { side: "source", host: sourceHost },
    { side: "target", host: targetHost },
  ].filter(({ host }) => host !== "");
  return Promise.all(
    sides.map(async ({ side, host }) => {
      try {
        return `${side} ${host}: ${lineOf(await agent.attest(host, serverId, AbortSignal.timeout(LOOK_LIMIT_MS)))}`;
      } catch (error) {
        return `${side} ${host}: unknown: ${asFault(error).message}`;
      }
    }),
  );
}

function lineOf(said: AttestResponse): string {
  const facts = [
    `${said.role}`,
    `domain ${said.domain}`,
    `epoch ${said.epoch}`,
    said.mayHaveRun ? "its CPUs may have run" : "",
    said.ioError ? "paused on an I/O error" : "",
    said.filesPresent ? "" : "disks missing",
    ...said.drift,
  ];
  return facts.filter(fact => fact !== "").join(", ");
}

export function planOf(record: MigrationRecord, state: SagaState): string[] {
  if (state.phase === "ended") return [`nothing to do: it ended ${record.status}`];
  if (state.phase === "waiting") {
    return [
      `confirm it: ferry server confirm ${record.serverName}`,
      `or revert it: ferry server revert ${record.serverName}`,
    ];
  }
  const unparked: SagaState = { ...state, stuck: undefined };
  const next = nextAction(story, unparked, false);
  const what = "step" in next ? `${VERBS[next.kind]} ${next.step}` : "end it";
  const lines = [`${what}, then carry on ${state.phase}`];
  if (state.crossed && state.phase === "forward") {
    lines.push(
      `or go back and lose the target's writes: ferry server revert ${record.serverName} --discard-writes`,
    );
  }
  return lines;
}

const VERBS = {
  begin: "begin",
  run: "repeat",
  undo: "take back",
  tidy: "clean up after",
  unwind: "take back from",
} as const;
