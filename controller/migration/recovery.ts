/** What both hosts say of a migration, and what carrying it on would do: for a person to read before deciding. */

import { asFault } from "../../proto/fault.js";
import { awaitsVerdict, type SagaState } from "../saga/fold.js";
import { nextAction } from "../saga/next-action.js";
import type { MigrationRecord } from "../store/migrations.js";
import type { MigrationDependencies } from "./dependencies.js";
import { isGone } from "./fenced-host.js";
import { requestOf } from "./migration-kind.js";
import type { Said } from "./reconcile.js";
import { story } from "./story.js";

const LOOK_LIMIT_MS = 10_000;

/** What each of the hosts answered, or why it did not: then it is unknown, not absent. */
export type Look = Said | (Pick<Said, "side" | "host"> & { readonly problem: string });

export async function lookAtBoth(
  { id, sourceHost, targetHost, serverId }: MigrationRecord,
  state: SagaState,
  { agent }: Pick<MigrationDependencies, "agent">,
): Promise<Look[]> {
  const sides = [
    { side: "source" as const, host: sourceHost },
    { side: "target" as const, host: targetHost },
  ].filter(({ host }) => host !== "");
  return Promise.all(
    sides.map(async at => {
      if (isGone(requestOf(state.known), at.host)) return { ...at, problem: "declared dead" };
      const signal = AbortSignal.timeout(LOOK_LIMIT_MS);
      try {
        const attested = await agent.attest(at.host, serverId, signal);
        const journal = await agent.describeMigration(at.host, { serverId, migrationId: id }, signal);
        return { ...at, attested, journal };
      } catch (error) {
        return { ...at, problem: `unknown: ${asFault(error).message}` };
      }
    }),
  );
}

/** One line per host, and one for each incarnation that is set aside there. */
export function findingsOf(looks: readonly Look[]): string[] {
  return looks.flatMap(look => {
    const where = `${look.side} ${look.host}`;
    if ("problem" in look) return [`${where}: ${look.problem}`];
    return [`${where}: ${lineOf(look)}`, ...look.journal.held.map(held => `${where}: holds ${held}`)];
  });
}

function lineOf({ attested, journal }: Said): string {
  const last = journal.operations.at(-1);
  const facts = [
    `${attested.role}`,
    `domain ${attested.domain}`,
    `epoch ${attested.epoch}`,
    attested.mayHaveRun ? "its CPUs may have run" : "",
    attested.ioError ? "paused on an I/O error" : "",
    attested.filesPresent ? "" : "disks missing",
    journal.outcome === "" ? "" : `closed as ${journal.outcome}`,
    last === undefined ? "" : `last asked for ${last.key.split(":").slice(1).join(" ")}: ${last.state}`,
    ...attested.drift,
  ];
  return facts.filter(fact => fact !== "").join(", ");
}

export interface Intent {
  /** A host that would be declared dead. */
  readonly fencedHost: string;
  /** How the hosts say that it ended, when the record here does not. */
  readonly outcome: string;
}

export function planOf(record: MigrationRecord, state: SagaState, { fencedHost, outcome }: Intent): string[] {
  if (state.phase === "ended") return [`nothing to do: it ended ${record.status}`];
  if (outcome !== "") return [`its hosts have ended it long ago: close the record as ${outcome}`];
  if (fencedHost !== "") return planWithout(fencedHost, record, state);
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
  if ((state.crossed && state.phase === "forward") || awaitsVerdict(state, "revert")) {
    lines.push(`or go back and lose the target's writes: ferry server revert ${record.serverName}`);
  }
  // What ran there was started by nobody that Ferry knows, and of a migration that is being given up.
  if (state.phase === "unwinding" && awaitsVerdict(state, "revert"))
    lines.push(
      `to keep what it wrote there by hand, save its disks on ${record.targetHost} first: docs/operating.md, "A guest that ran on its target too early"`,
    );
  return lines;
}

const VERBS = {
  begin: "begin",
  run: "repeat",
  undo: "take back",
  tidy: "clean up after",
  unwind: "take back from",
} as const;

/** What a person's word about a host opens. */
function planWithout(host: string, { serverName, sourceHost }: MigrationRecord, state: SagaState): string[] {
  const always = [
    `record that ${host} is dead, with your name and reason`,
    `${host} is in quarantine from now on: when it comes back it starts nothing that it is not asked for`,
  ];
  if (host === sourceHost && state.phase === "onward")
    return [...always, `finish the confirm without ${host}`];
  if (host === sourceHost) return [...always, `then decide: ferry server confirm ${serverName}`];
  if (state.phase === "unwinding")
    return [...always, `restore ${serverName} on ${sourceHost} without the word of ${host}`];
  if (state.phase === "forward" && !state.crossed)
    return [...always, `take everything back: ${serverName} runs on ${sourceHost} again`];
  return [...always, `then go back and lose what it wrote there: ferry server revert ${serverName}`];
}
