/**
 * One migration from the request to its end, with one blow at one exact step of one daemon's work: killed there, or its
 * whole host without power. The universal proofs strike at every step there is.
 */

import { Fleet } from "./fleet.js";
import { Invariants } from "./invariants.js";
import type { Machine } from "./world/machine.js";
import { World } from "./world/world.js";

export type Verdict = "confirm" | "revert";
export type Blow = "kill" | "power-cut";
export const VICTIMS = { controller: "ctl", source: "h1", target: "h2" } as const;
export type Victim = keyof typeof VICTIMS;

export interface Strike {
  readonly victim: Victim;
  readonly blow: Blow;
  /** The step of the victim's work, counted from the request. */
  readonly step: number;
}

export interface StoryResult {
  /** How the migration ended; "" when it did not. */
  readonly status: string;
  readonly violations: readonly string[];
  /** Steps that each daemon made from the request to the end; of those that were not struck. */
  readonly steps: Readonly<Record<Victim, number>>;
  /** The blow fell. */
  readonly isStruck: boolean;
  /** Its guest was stopped on the way. */
  readonly hasStopped: boolean;
  readonly transcript: readonly string[];
}

const LIMIT_MS = 3_600_000;
const DOWN_MS = 5_000;

export async function tellStory(verdict: Verdict, strike?: Strike, transcript = false): Promise<StoryResult> {
  const world = new World(1, { transcript });
  try {
    const fleet = await Fleet.open(world, { hosts: 2, servers: 1, confirmWindow: 0 });
    const invariants = new Invariants(fleet);
    const [server = ""] = fleet.servers;
    const { operator } = fleet;
    await fleet.allUp();
    const before = stepsOf(world);
    const isStruck = strike === undefined ? () => false : prepare(world, strike, () => invariants.touch());
    await operator.insist("migrate", () => operator.migrate(server, "h2"));
    await decide(fleet, server, verdict);
    const after = stepsOf(world);
    for (const name of Object.values(VICTIMS)) world.machine(name).running()?.spare();
    await world.time.run(() => false, 20_000);
    invariants.atRest();
    const spent = (victim: Victim) => after[victim] - before[victim];
    return {
      status: invariants.migrations().at(-1)?.status ?? "",
      violations: [...world.breaches, ...world.bugs],
      steps: { controller: spent("controller"), source: spent("source"), target: spent("target") },
      isStruck: isStruck(),
      hasStopped: hasStopped(fleet),
      transcript: world.transcript,
    };
  } finally {
    world.close();
  }
}

async function decide({ operator }: Fleet, server: string, verdict: Verdict): Promise<void> {
  const newest = async () => (await operator.migrations())[0];
  await operator.until(async () => {
    const { id = "", status = "", endedAtMs = 0 } = (await newest()) ?? {};
    if (status === "finished") await operator[verdict](server, id);
    return endedAtMs > 0 || status === "stuck";
  }, LIMIT_MS);
}

function prepare(world: World, { victim, blow, step }: Strike, after: () => void): () => boolean {
  const machine = world.machine(VICTIMS[victim]);
  const process = machine.running();
  let isStruck = false;
  process?.endAfter(step, () => {
    isStruck = true;
    if (blow === "kill") process.kill();
    else machine.losePower();
    machine.say(blow);
    after();
    world.time.after(DOWN_MS, undefined, () => machine.boot());
  });
  return () => isStruck;
}

/** By what the store's journal of the saga says. */
function hasStopped({ controller }: Fleet): boolean {
  const { database } = controller.database("/var/lib/ferry-controller/controller.db");
  const lines = database.prepare<[], { line: string }>("SELECT line FROM saga_step").all();
  return lines.some(({ line }) => line.includes('"begun"') && line.includes('"stop-source"'));
}

const stepsOf = (world: World): Record<Victim, number> => {
  const of = (machine: Machine) => machine.running()?.steps ?? 0;
  const { controller, source, target } = VICTIMS;
  return {
    controller: of(world.machine(controller)),
    source: of(world.machine(source)),
    target: of(world.machine(target)),
  };
};
