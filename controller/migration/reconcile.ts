/**
 * Does a saga's journal tell what its hosts' journals tell (SAFETY R13)? Asked after the store may have gone back in time.
 * A pure comparison; every difference is one line for a person, and only a saga without any goes on by itself.
 *
 *     hosts are ahead     they were asked for something that the saga has not begun, or have closed the migration
 *     hosts are behind    what the saga believes to be done was never asked of them: a host was restored, too
 */

import type { AttestResponse, DescribeMigrationResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { SagaState } from "../saga/fold.js";

export interface Said {
  readonly side: "source" | "target";
  readonly host: string;
  readonly attested: AttestResponse;
  readonly journal: DescribeMigrationResponse;
}

interface Compared {
  readonly id: string;
  readonly epoch: number;
  readonly state: SagaState;
}

export function disagreementsOf(saga: Compared, said: readonly Said[]): string[] {
  return said.flatMap(one => [
    ...newer(saga, one),
    ...closed(saga, one),
    ...ahead(saga, one),
    ...behind(saga, one),
  ]);
}

function newer({ epoch }: Compared, { host, attested }: Said): string[] {
  if (attested.epoch <= epoch) return [];
  return [`${host} has seen epoch ${attested.epoch} of the server, this migration is of epoch ${epoch}`];
}

function closed({ state }: Compared, { host, journal: { outcome } }: Said): string[] {
  const isClosing = isRunning(state, "release") || state.phase === "unwinding";
  return outcome === "" || isClosing ? [] : [`${host} has closed it as ${outcome}`];
}

function ahead({ id, state }: Compared, { host, journal }: Said): string[] {
  const tooFar = journal.operations
    .map(({ key }) => effectOf(id, key))
    .filter(effect => !isBegun(state, effect));
  return tooFar.map(({ text }) => `${host} was asked for ${text}, which is not begun here`);
}

interface Effect {
  readonly step: string;
  readonly phase: string;
  readonly text: string;
}

/** Keys are "<migration>:<step>:<phase>:<verb>"; see `MigrationWorld.perform`. */
function effectOf(id: string, key: string): Effect {
  const [step = "", phase = "", verb = ""] = key.slice(id.length + 1).split(":");
  return { step, phase, text: `${verb.replaceAll("_", "-")} (${step})` };
}

function isBegun(state: SagaState, { step, phase }: Effect): boolean {
  // A look before a revert is no part of the saga.
  if (step === "revert") return true;
  if (step === "withdraw") return state.phase === "unwinding" || isRunning(state, "prepare-target");
  const standing = state.steps.find(({ name }) => name === step)?.state;
  if (standing === undefined) return false;
  return phase.startsWith("run") ? standing !== "pending" : state.phase === "unwinding";
}

/** What must have been done, and where, when a step is done. Conditional effects are left out. */
const EFFECTS: Readonly<Record<string, readonly (readonly [Said["side"], string])[]>> = {
  "prepare-target": [["source", "prepare_source"]],
  "fence-source": [["source", "fence_incarnation"]],
  "copy-disks": [
    ["source", "send_disks"],
    ["target", "receive_disks"],
  ],
  "prepare-disks": [["target", "prepare_disks"]],
  "define-target": [["target", "define_target"]],
  "create-target": [["target", "create_target"]],
  "retire-source": [["source", "retire_source"]],
};

function behind({ id, state }: Compared, { side, host, journal }: Said): string[] {
  const done = new Set(journal.operations.filter(one => one.state === "done").map(({ key }) => key));
  const believed = state.steps.filter(step => step.state === "done");
  return believed.flatMap(({ name }) =>
    (EFFECTS[name] ?? [])
      .filter(([where, verb]) => where === side && !done.has(`${id}:${name}:run:${verb}`))
      .map(([, verb]) => `${host} does not know that ${verb.replaceAll("_", "-")} was done`),
  );
}

const isRunning = (state: SagaState, step: string): boolean =>
  state.steps.some(({ name, state: standing }) => name === step && standing === "running");

/** How both hosts say that it ended, if a host that decides says so: the target for a confirm, the source otherwise. */
export function outcomeOf(said: readonly Said[]): string {
  const ofSide = (side: Said["side"]) => said.find(one => one.side === side)?.journal.outcome ?? "";
  if (ofSide("target") === "confirmed") return "confirmed";
  const atSource = ofSide("source");
  return atSource === "confirmed" ? "" : atSource;
}
