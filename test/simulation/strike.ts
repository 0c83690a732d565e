/**
 * What befalls a migration of the universal proofs, each at one exact place:
 *
 *   kill, power-cut   at a step of a daemon's work
 *   lose-answer       what a request asked for was done, and nobody is told
 *   come-again        a request arrives once more after every later one, and after the end
 *   come-late         a request is lost, its migration cancelled, and then it arrives: as many requests later as said
 *   flip-bit          what the target flushes is not what it wrote
 *   resume            an answer is lost; meanwhile a person resumes the guest that lies paused there, and cancels
 */

import type { Fleet } from "./fleet.js";
import type { Invariants } from "./invariants.js";
import type { OpenFile } from "./world/disk.js";
import type { Machine } from "./world/machine.js";
import type { Intercepted } from "./world/network.js";
import type { World } from "./world/world.js";

export const BLOWS = [
  "kill",
  "power-cut",
  "lose-answer",
  "come-again",
  "come-late",
  "flip-bit",
  "resume",
] as const;
export type Blow = (typeof BLOWS)[number];
export const VICTIMS = { controller: "ctl", source: "h1", target: "h2" } as const;
export type Victim = keyof typeof VICTIMS;

export interface Strike {
  readonly victim: Victim;
  readonly blow: Blow;
  /** Which of the places, counted from the request. */
  readonly place: number;
  /** Of `come-late`: before which of the requests that are sent afterwards; none: after the end. */
  readonly later?: number;
}

interface Scene {
  readonly fleet: Fleet;
  readonly invariants: Invariants;
  /** A person gives the migration up. */
  readonly cancel: () => Promise<void>;
}

interface Dealt {
  isStruck(): boolean;
  /** The migration has ended: what was still to come comes now. */
  atEnd(): void;
}

const DOWN_MS = 5_000;
const ANSWER_LOST_MS = 200;

export function deal(world: World, strike: Strike, scene: Scene): Dealt {
  const machine = world.machine(VICTIMS[strike.victim]);
  if (strike.blow === "kill" || strike.blow === "power-cut") return endDaemon(machine, strike, scene);
  if (strike.blow === "flip-bit") return flipBit(machine, strike);
  return interfere(world, machine, strike, scene);
}

function endDaemon(machine: Machine, { blow, place }: Strike, { invariants }: Scene): Dealt {
  const process = machine.running();
  let isStruck = false;
  process?.endAfter(place, () => {
    isStruck = true;
    if (blow === "kill") process.kill();
    else machine.losePower();
    machine.say(blow);
    invariants.touch();
    machine.world.time.after(DOWN_MS, undefined, () => machine.boot());
  });
  return { isStruck: () => isStruck, atEnd: () => {} };
}

/** Of a disk that is being received or copied. */
export const isData = ({ inode, path }: OpenFile): boolean =>
  path.includes(".part-") && !path.endsWith(".journal") && inode.data.length > 0;

function flipBit(machine: Machine, { place }: Strike): Dealt {
  let flushes = 0;
  let isStruck = false;
  machine.disk.onFlush = file => {
    if (!isData(file) || flushes++ !== place) return;
    isStruck = true;
    file.inode.medium = Buffer.from(file.inode.data);
    file.inode.medium[0] = (file.inode.medium[0] ?? 0) ^ 1;
    machine.say(`the first bit of ${file.path} is wrong on the medium`);
  };
  return { isStruck: () => isStruck, atEnd: () => {} };
}

/** Only what changes something: questions may be asked as often as anybody likes. */
const isMutation = ({ path }: Intercepted): boolean => path.endsWith("/Perform");

function interfere(world: World, machine: Machine, strike: Strike, { fleet, cancel }: Scene): Dealt {
  const { blow, place, later } = strike;
  let seen = 0;
  let struck: Intercepted | undefined;
  let since = 0;
  const again = () => struck?.arrive(false);
  const giveUp = (request: Intercepted) => {
    request.lose("connection reset");
    fleet.operator.begin("cancel", cancel);
  };
  world.network.intercept = request => {
    if (!isMutation(request)) return false;
    if (struck !== undefined) {
      since += 1;
      if (blow === "come-again" || (blow === "come-late" && since === later)) again();
      return false;
    }
    if (request.to !== machine || seen++ !== place) return false;
    struck = request;
    machine.say(`a request to it: ${blow}`);
    if (blow === "come-again") return false;
    if (blow === "come-late") giveUp(request);
    else request.arrive(false);
    if (blow === "lose-answer")
      world.time.after(ANSWER_LOST_MS, undefined, () => request.lose("connection reset"));
    if (blow === "resume")
      world.time.after(ANSWER_LOST_MS, undefined, () => {
        resumeByHand(machine);
        giveUp(request);
      });
    return true;
  };
  const comesAtEnd = blow === "come-again" || (blow === "come-late" && later === undefined);
  return { isStruck: () => struck !== undefined, atEnd: () => comesAtEnd && again() };
}

function resumeByHand(machine: Machine): void {
  for (const { uuid, state } of machine.libvirt.qemus.values()) {
    if (state !== "paused") continue;
    machine.say(`$ virsh resume ${uuid}`);
    machine.libvirt.resume(uuid);
  }
}

/** From now on; to be asked at the end. */
export function countOf(world: World): () => Record<Victim, Record<Blow, number>> {
  const stepsOf = (name: string) => world.machines.get(name)?.running()?.steps ?? 0;
  const requests = new Map<Machine, number>();
  const flushes = new Map<Machine, number>();
  const before = Object.fromEntries(Object.values(VICTIMS).map(name => [name, stepsOf(name)]));
  world.network.intercept = request => {
    if (isMutation(request)) requests.set(request.to, (requests.get(request.to) ?? 0) + 1);
    return false;
  };
  for (const machine of world.machines.values())
    machine.disk.onFlush = file => {
      if (isData(file)) flushes.set(machine, (flushes.get(machine) ?? 0) + 1);
    };
  const placesOf = (victim: Victim): Record<Blow, number> => {
    const machine = world.machines.get(VICTIMS[victim]);
    const steps = machine === undefined ? 0 : stepsOf(machine.name) - (before[machine.name] ?? 0);
    const asked = machine === undefined ? 0 : (requests.get(machine) ?? 0);
    const written = machine === undefined ? 0 : (flushes.get(machine) ?? 0);
    return {
      kill: steps,
      "power-cut": steps,
      "lose-answer": asked,
      "come-again": asked,
      "come-late": asked,
      "flip-bit": written,
      resume: asked,
    };
  };
  return () => ({
    controller: placesOf("controller"),
    source: placesOf("source"),
    target: placesOf("target"),
  });
}
