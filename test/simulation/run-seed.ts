/**
 * One seed: a fleet, people who migrate its servers, and what goes wrong meanwhile; then everything is made good, and
 * what is left must be in order.
 *
 *   start ── trouble: faults and people, for some minutes ── healed: until nothing moves any more ── at rest: judged
 */

import { FAULTS, type Heal, pickFault, type Scene, VANDALISM } from "./faults.js";
import { Fleet } from "./fleet.js";
import { Invariants } from "./invariants.js";
import { type Meanwhile, Refused } from "./refused.js";
import { CALM } from "./world/network.js";
import { World } from "./world/world.js";

export interface SeedOptions {
  readonly hosts?: number;
  readonly transcript?: boolean;
}

export interface SeedResult {
  readonly seed: number;
  readonly migrations: number;
  readonly stuck: number;
  /** Broken promises, and bugs that a daemon found in itself. */
  readonly violations: readonly string[];
  readonly transcript: readonly string[];
}

/** Virtual time that the healed fleet has to come to rest. */
const REST_LIMIT_MS = 2 * 3_600_000;
const MEANWHILE: readonly Meanwhile[] = ["others-fill-up", "cancelled", "reached-after-all"];
const ROOM_AGAIN_MS = 20_000;
/** Every daemon runs and every host has been heard. */
const HEARD_AGAIN_MS = 15_000;
/** In which what is stuck, and tries again by itself, goes on. */
const STUCK_MS = 60_000;
/** In which nothing may move any more. */
const AT_REST_MS = 20_000;

export async function runSeed(
  seed: number,
  { hosts = 3, transcript = false }: SeedOptions = {},
): Promise<SeedResult> {
  const world = new World(seed, { transcript });
  try {
    const fleet = await Fleet.open(world, {
      hosts,
      servers: world.random.between(1, 2),
      confirmWindow: world.random.pick([0, 0, 15]),
      isFlat: seed % 4 === 3,
      hasDevice: seed % 4 === 1,
    });
    const invariants = new Invariants(fleet);
    const scene: Scene = { fleet, invariants, random: world.random.fork("faults") };
    await trouble(scene, seed % 4 === 1);
    await rest(scene);
    invariants.atRest();
    const rows = invariants.migrations();
    return {
      seed,
      migrations: rows.length,
      stuck: rows.filter(({ stuck }) => stuck === 1).length,
      violations: [...world.breaches, ...world.bugs],
      transcript: world.transcript,
    };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return {
      seed,
      migrations: 0,
      stuck: 0,
      violations: [...world.breaches, ...world.bugs, text],
      transcript: world.transcript,
    };
  } finally {
    world.close();
  }
}

/** The scheduler's first choice of the first migration refuses. */
function refuseFirst({ fleet, random }: Scene): Heal {
  const refused = new Refused(fleet, random.fork("refused").pick(MEANWHILE));
  fleet.world.time.after(ROOM_AGAIN_MS, undefined, () => refused.makeRoom());
  return () => refused.heal();
}

async function trouble(scene: Scene, hasRefusal: boolean): Promise<void> {
  const { fleet, random } = scene;
  const { world } = fleet;
  const people = fleet.servers.map(server => fleet.operator.drive(server, scene.random.fork(server)));
  const heals: Heal[] = hasRefusal ? [refuseFirst(scene)] : [];
  const kinds = random.chance(0.15) ? [...FAULTS, ...VANDALISM] : FAULTS;
  const faults = random.between(0, 6);
  const durationMs = random.between(30_000, 90_000);
  for (let number = 0; number < faults; number += 1) {
    world.time.after(random.next() * durationMs * 0.8, undefined, () => {
      const heal = pickFault(random, kinds)(scene);
      if (heal !== undefined) heals.push(heal);
    });
  }
  await world.time.run(() => false, durationMs);
  world.say("simulation", "everything is made good");
  world.network.weather = CALM;
  for (const heal of heals) heal();
  world.network.healAll(world.machines.values());
  for (const machine of world.machines.values()) {
    machine.running()?.thaw();
    machine.running()?.spare();
  }
  for (const person of people) person.stop();
}

/** Verdicts are given until no migration waits for one; then nothing may move any more. */
async function rest({ fleet, invariants }: Pick<Scene, "fleet" | "invariants">): Promise<void> {
  const { world, operator } = fleet;
  const isQuiet = () => {
    const open = invariants.migrations().filter(migration => migration.open === 1 && migration.stuck === 0);
    return (
      open.length === 0 &&
      invariants.servers().every(({ task_state, pending }) => task_state === "" || pending === null)
    );
  };
  const deciding = fleet.servers.map(server => operator.decide(server));
  // Heartbeats first: nobody moves before the controller knows again who is up. And what the network still repeats, which may be
  // a person's request: what it begins needs a verdict, too.
  const { network, time } = world;
  await time.run(() => false, Math.max(HEARD_AGAIN_MS, network.lastRepeatMs - time.nowMs));
  await time.run(isQuiet, REST_LIMIT_MS);
  const isStuck = () => invariants.migrations().some(({ open, stuck }) => open === 1 && stuck === 1);
  if (isStuck()) {
    await time.run(() => !isStuck(), STUCK_MS);
    await time.run(isQuiet, REST_LIMIT_MS);
  }
  await repair({ fleet, invariants }, isQuiet);
  for (const person of deciding) person.stop();
  await time.run(() => false, AT_REST_MS);
}

/** What is still stuck a person can end, by recovering it, or by taking it back and losing what the target wrote. */
async function repair(
  { fleet, invariants }: Pick<Scene, "fleet" | "invariants">,
  isQuiet: () => boolean,
): Promise<void> {
  const { world, operator } = fleet;
  const stuck = () =>
    invariants.migrations().filter(row => row.stuck === 1 && !invariants.vandalised.has(row.server));
  const remedies: readonly (readonly [string, (id: string, server: string) => Promise<unknown>])[] = [
    ["recover", id => operator.recover(id)],
    ["revert", (id, server) => operator.revert(server, id)],
  ];
  for (const [name, remedy] of remedies) {
    for (const { id, server } of stuck())
      operator.begin(name, () => operator.repeat(name, 3, () => remedy(id, server)));
    await world.time.run(() => stuck().length === 0, STUCK_MS);
    await world.time.run(isQuiet, REST_LIMIT_MS);
  }
  for (const { id, step, fault } of stuck())
    world.breach(`migration ${id} is stuck at ${step}, and nobody can repair it: ${fault}`);
}
