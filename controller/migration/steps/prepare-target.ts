/**
 * Everything that can fail is tried now, while the guest runs: the source says what is to be moved, the target where
 * it will lie, and the source that it can reach the target's data port.
 *
 * A target that refuses is let go completely (withdrawn, cleaned, closed) before the next one is asked, so that at any
 * time at most one target knows of this migration. That it is passed over is recorded first: whoever carries the step out
 * again goes on with letting it go, and never takes it after all. A target that does not even answer a question is passed over
 * without having been asked for anything.
 */

import { asFault, Fault } from "../../../proto/fault.js";
import { fromFaultInfo, toFaultInfo } from "../../../proto/fault-info.js";
import type { PerformResult, SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import type { TargetRefusal } from "../../../proto/gen/ferry/v1/model.js";
import type { Reversible } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import { leaveTarget, withdrawTarget } from "../leave-target.js";
import type { MigrationWorld } from "../migration-world.js";
import { networkMapOn } from "../network-map.js";
import { tellMigration } from "../notify.js";
import { isResize, type MigrationRequest } from "../request.js";
import { bookFirst, NoneBooked, noValidHost, type Said, type SelectedTargets } from "./select-target.js";

export interface PreparedTarget {
  readonly targetHost: string;
  readonly manifest: SourceManifest;
  readonly plan: TargetPlan;
}

type Known = MigrationRequest & SelectedTargets;

/** A target was up when it was chosen; in this time its agent, libvirtd or link is back after a restart. */
const LAST_TARGET_PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 1_000;
/** Of the way to a target that has alternates: an answer may be lost once. */
const PROBES = 2;

export const prepareTarget: Reversible<MigrationWorld, Known, PreparedTarget> = {
  name: "prepare-target",
  limitMs: 10 * 60_000,

  async run(known, world) {
    const manifest = await prepareSource(known, world);
    for (;;) {
      const [targetHost, askedAtMs] = [await world.targetHost(), world.nowMs];
      if (!(await isPassedOver(targetHost, world))) {
        try {
          return { targetHost, manifest, plan: await prepareOn(targetHost, manifest, known, world) };
        } catch (error) {
          await passOver({ host: targetHost, askedAtMs, refusal: refusalOf(error, world) }, known, world);
        }
      }
      await moveOn(targetHost, known, world);
    }
  },

  /** Gives back what the target booked, and its word that nothing of this migration can run there (SAFETY R4). */
  async undo(known, world) {
    await withdrawTarget(known, world).catch(error => unlessLeft(error, world));
  },

  async tidy(known, world) {
    await leaveTarget(known, world, outcomeOf(world)).catch(error => unlessLeft(error, world));
    await world.perform(known.sourceHost, {
      $case: "closeMigration",
      value: { outcome: outcomeOf(world) },
    });
  },
};

const outcomeOf = (world: MigrationWorld): string => (world.call.byPerson ? "reverted" : "unwound");

/**
 * A target that was let go on the way to another one, which was never booked: it has given its word, has nothing of this
 * migration any more, and refuses all that comes. By its own word only.
 */
async function unlessLeft(error: unknown, world: MigrationWorld): Promise<void> {
  if (asFault(error).code !== "stale-epoch") throw error;
  if ((await world.closedAs(await world.targetHost())) !== "unwound") throw error;
}

async function prepareSource(
  { sourceHost, readOnlyDrives, diskFormat, compression, blockDisks }: Known,
  world: MigrationWorld,
): Promise<SourceManifest> {
  const value = { readOnlyDrives, diskFormat, compression, blockDisks };
  const answer = await world.perform(sourceHost, { $case: "prepareSource", value });
  throwRefusals(answer, sourceHost);
  if (answer.manifest === undefined) throw new Fault("internal", `${sourceHost} answered no manifest`);
  return answer.manifest;
}

async function prepareOn(
  targetHost: string,
  manifest: SourceManifest,
  known: Known,
  world: MigrationWorld,
): Promise<TargetPlan> {
  const { sourceHost } = known;
  const flavor = isResize(known) ? known.flavor : undefined;
  await ask(targetHost, known, world);
  const answer = await world.perform(targetHost, {
    $case: "prepareTarget",
    value: {
      manifest,
      sourceHost,
      networkMap: networkMapOn(known.networkMap, targetHost),
      flavor,
      extraSpecs: known.oldFlavor.extraSpecs,
      crossCell: known.crossCell ?? false,
      diskFormat: known.diskFormat,
      blockDisks: known.blockDisks,
    },
  });
  throwRefusals(answer, targetHost);
  if (answer.plan === undefined) throw new Fault("internal", `${targetHost} answered no plan`);
  // Nothing crosses a network.
  if (targetHost !== sourceHost) await proveWay(answer.plan, targetHost, known, world);
  return answer.plan;
}

/** By the source: which folders both hosts have, and whether it reaches the target's data port. */
async function proveWay(
  plan: TargetPlan,
  targetHost: string,
  known: Known,
  world: MigrationWorld,
): Promise<void> {
  const { sourceHost } = known;
  const askSource = async ($case: "proveStorage" | "probeTransfer") => {
    const effect = { effect: `prepare-target:run-${targetHost}` };
    throwRefusals(
      await world.perform(sourceHost, { $case, value: { plan, targetHost } }, effect),
      sourceHost,
    );
  };
  await askSource("proveStorage");
  // A path over which nothing is sent need not be there.
  if (!plan.files.some(({ mode }) => mode === "copied")) return;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askSource("probeTransfer");
    } catch (error) {
      const fault = asFault(error);
      if (!(await isAnswer(fault, targetHost, known, world))) throw fault;
      if (attempt === PROBES)
        throw new Fault("refused", fault.message, { host: targetHost, ...fault.detail });
      await world.pause(ASK_AGAIN_MS, world.call.signal);
    }
  }
}

/**
 * A probe has no effect that could be unknown: a source that answers, and has not reached the target, has said no. With
 * nobody else to ask it is worth repeating for longer.
 */
async function isAnswer(
  fault: Fault,
  targetHost: string,
  known: Known,
  world: MigrationWorld,
): Promise<boolean> {
  const isLast = alternatesAfter(targetHost, known).length === 0;
  if (!fault.isUnknown || isLast || world.call.signal.aborted) return false;
  return (await silenceOf(known.sourceHost, world)) === undefined;
}

/** All of them, so that a person corrects everything at once. */
function throwRefusals({ refusals }: PerformResult, host: string): void {
  const [first, ...others] = refusals;
  if (first === undefined) return;
  const fault = fromFaultInfo(first);
  const also = others.map(({ message }) => `; ${message}`).join("");
  throw new Fault(fault.code, `${fault.message}${also}`, { host, ...fault.detail });
}

/** A plain no leads to the next target; an unknown outcome is repeated, because the target may have booked already. */
function refusalOf(thrown: unknown, world: MigrationWorld): Fault {
  const fault = asFault(thrown);
  if (fault.isUnknown || world.call.signal.aborted) throw fault;
  return fault;
}

/** Nothing is sent to a target that does not answer a question: it would have to be asked to let go again. */
async function ask(targetHost: string, known: Known, world: MigrationWorld): Promise<void> {
  const { targetAsked } = await world.record();
  if (targetAsked) return;
  // The guest runs meanwhile: a target that restarts is worth waiting for, unless there is another one.
  const patienceMs = alternatesAfter(targetHost, known).length === 0 ? LAST_TARGET_PATIENCE_MS : 0;
  const deadlineMs = world.nowMs + patienceMs;
  for (;;) {
    const silence = await silenceOf(targetHost, world);
    if (silence === undefined) break;
    if (world.nowMs >= deadlineMs)
      throw new Fault(
        "no-valid-host",
        `host ${targetHost} does not answer: ${silence.message}`,
        silence.detail,
      );
    await world.note(`${targetHost} does not answer; it is asked again for ${patienceMs / 1000} s`);
    await world.pause(ASK_AGAIN_MS, world.call.signal);
  }
  await world.commit(({ queries, sagaId, nowMs }) =>
    updateMigration(queries, sagaId, { targetAsked: true }, nowMs),
  );
}

/** Why it does not answer; nothing when it does. */
async function silenceOf(targetHost: string, world: MigrationWorld): Promise<Fault | undefined> {
  try {
    await world.attest(targetHost);
    return undefined;
  } catch (error) {
    const fault = asFault(error);
    if (!fault.isUnknown || world.call.signal.aborted) throw fault;
    return fault;
  }
}

/** Whom to ask when this one refuses; a target that was named has no alternates. */
const alternatesAfter = (refusing: string, { requestedHost, candidates }: Known): readonly string[] =>
  requestedHost === "" ? candidates.slice(candidates.indexOf(refusing) + 1) : [];

interface Refused {
  readonly host: string;
  readonly askedAtMs: number;
  readonly refusal: Fault;
}

const isPassedOver = async (host: string, world: MigrationWorld): Promise<boolean> =>
  (await world.record()).refusals.some(refusal => refusal.host === host);

async function passOver(
  { host, askedAtMs, refusal }: Refused,
  known: Known,
  world: MigrationWorld,
): Promise<void> {
  const fault = toFaultInfo(refusal);
  const refusals = [...(await world.record()).refusals, { host, askedAtMs, refusedAtMs: world.nowMs, fault }];
  if (alternatesAfter(host, known).length === 0) throw lastRefusal(known, refusal, refusals.map(saidOf));
  await world.commit(async ({ queries, sagaId, nowMs }) => {
    const text = `${host} refused: ${refusal.message}`;
    await tellMigration(queries, sagaId, { text, notice: { ...REFUSED, fault } }, nowMs);
    await updateMigration(queries, sagaId, { refusals }, nowMs);
  });
}

/** From one that was passed over to the next one that can be booked. */
async function moveOn(host: string, known: Known, world: MigrationWorld): Promise<void> {
  await withdrawTarget(known, world);
  await leaveTarget(known, world, "unwound");
  const booked = world.commit(async write => {
    await bookFirst(known, alternatesAfter(host, known), write);
  });
  await booked.catch(async (error: unknown) => {
    if (!(error instanceof NoneBooked)) throw error;
    const { refusals } = await world.record();
    throw lastRefusal(known, error, [...refusals.map(saidOf), ...error.said]);
  });
}

const saidOf = ({ host, fault }: TargetRefusal): Said => ({ host, message: fault?.message ?? "" });

const REFUSED = { type: "instance.resize_prep.error", side: "target", message: "" } as const;

function lastRefusal({ candidates }: Known, refusal: Fault, said: readonly Said[]): Fault {
  if (candidates.length === 1) return refusal;
  const { code, detail } = refusal;
  return new Fault(code, noValidHost(said), detail, { cause: refusal });
}
