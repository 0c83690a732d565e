/**
 * What goes wrong in a simulated fleet: each kind is one function that does it now and says how it is made good again,
 * if it does not heal by itself. Which ones happen, to whom and when, is the seed's.
 */

import type { Fleet } from "./fleet.js";
import type { Invariants } from "./invariants.js";
import type { Machine } from "./world/machine.js";
import type { Random } from "./world/random.js";

export interface Scene {
  readonly fleet: Fleet;
  readonly invariants: Invariants;
  readonly random: Random;
}

export type Heal = () => void;
type Fault = (scene: Scene) => Heal | undefined;

/** Steps until a process dies: anywhere within the next verb or two. */
const STEPS = { least: 1, most: 250 };

const anyMachine = ({ fleet, random }: Scene): Machine => random.pick([fleet.controller, ...fleet.hosts]);
const anyHost = ({ fleet, random }: Scene): Machine => random.pick(fleet.hosts);

const killDaemon: Fault = scene => {
  const machine = anyMachine(scene);
  const process = machine.running();
  const steps = scene.random.between(STEPS.least, STEPS.most);
  process?.endAfter(steps, () => {
    machine.say(`${process.program} is killed`);
    process.kill();
  });
  return undefined;
};

const cutPower: Fault = scene => {
  const machine = anyMachine(scene);
  const fail = () => {
    machine.losePower();
    scene.invariants.touch();
    const downMs = scene.random.between(2_000, 60_000);
    machine.world.time.after(downMs, undefined, () => machine.boot());
  };
  const process = machine.running();
  if (process === undefined) fail();
  else process.endAfter(scene.random.between(STEPS.least, STEPS.most), fail);
  return () => machine.boot();
};

const cutLink: Fault = scene => {
  const { network } = scene.fleet.world;
  const [one, other] = [anyMachine(scene), anyMachine(scene)];
  if (one === other) return undefined;
  const both = scene.random.chance(0.5);
  one.say(`cannot reach ${other.name}${both ? ", nor the other way round" : ""}`);
  network.cut(one, other);
  if (both) network.cut(other, one);
  const heal = () => {
    network.heal(one, other);
    network.heal(other, one);
  };
  one.world.time.after(scene.random.between(500, 45_000), undefined, heal);
  return heal;
};

const freezeDaemon: Fault = scene => {
  const machine = anyMachine(scene);
  const process = machine.running();
  if (process === undefined) return undefined;
  machine.say(`${process.program} is frozen`);
  process.freeze();
  const thaw = () => {
    if (process.state === "frozen") machine.say(`${process.program} thaws`);
    process.thaw();
  };
  machine.world.time.after(scene.random.between(1_000, 60_000), undefined, thaw);
  return thaw;
};

const fillDisk: Fault = scene => {
  const machine = anyHost(scene);
  const bytes = machine.disk.freeBytes - scene.random.between(0, 200_000);
  machine.say("its disk is full");
  machine.disk.usedBytes += bytes;
  let isFull = true;
  const free = () => {
    if (isFull) machine.disk.usedBytes = Math.max(0, machine.disk.usedBytes - bytes);
    isFull = false;
  };
  machine.world.time.after(scene.random.between(1_000, 40_000), undefined, free);
  return free;
};

const failDisk: Fault = scene => {
  const machine = anyHost(scene);
  machine.say("its disk fails");
  machine.disk.isFailing = true;
  const mend = () => {
    machine.disk.isFailing = false;
  };
  machine.world.time.after(scene.random.between(100, 8_000), undefined, mend);
  return mend;
};

/** The next flush of something received puts one wrong bit on the medium. */
const flipBit: Fault = scene => {
  const machine = anyHost(scene);
  machine.disk.onFlush = ({ inode, path }) => {
    if (!path.includes(".part-") || path.endsWith(".journal") || inode.data.length === 0) return;
    const medium = Buffer.from(inode.data);
    const at = scene.random.between(0, medium.length - 1);
    medium[at] = (medium[at] ?? 0) ^ (1 << scene.random.between(0, 7));
    inode.medium = medium;
    machine.say(`one bit of ${path} is wrong on the medium`);
    machine.disk.onFlush = () => {};
  };
  return () => {
    machine.disk.onFlush = () => {};
  };
};

const slowDown: Fault = scene => {
  const machine = anyMachine(scene);
  const before = machine.slowness;
  machine.slowness = { chance: 0.3, mostMs: scene.random.pick([50, 500, 2_000]) };
  machine.say("has become slow");
  const recover = () => {
    machine.slowness = before;
  };
  machine.world.time.after(scene.random.between(2_000, 30_000), undefined, recover);
  return recover;
};

const stepClock: Fault = scene => {
  const machine = anyMachine(scene);
  const ms = scene.random.pick([-3_600_000, -90_000, -5_000, 5_000, 90_000, 3_600_000]);
  machine.clockOffsetMs += ms;
  machine.say(`its clock steps by ${ms / 1000} s`);
  return undefined;
};

const crashLibvirt: Fault = scene => {
  const machine = anyHost(scene);
  machine.say("libvirtd dies");
  machine.libvirt.crash();
  const restart = () => {
    if (machine.isUp) machine.libvirt.comeBack();
  };
  machine.world.time.after(scene.random.between(200, 10_000), undefined, restart);
  return restart;
};

const badWeather: Fault = ({ fleet: { world }, random }) => {
  world.network.weather = {
    latencyMs: [random.pick([0.2, 5, 50]), random.pick([5, 500, 3_000])],
    dropChance: random.pick([0, 0.02, 0.1]),
    repeatChance: random.pick([0, 0.1, 0.3]),
  };
  world.say("network", `weather: ${JSON.stringify(world.network.weather)}`);
  return undefined;
};

/** Somebody with a root shell on a host. */
const startByHand: Fault = scene => {
  const machine = anyHost(scene);
  const server = scene.random.pick(scene.fleet.servers);
  byHand(machine, `virsh start ${server}`, () => machine.libvirt.start(server, false));
  return undefined;
};

const resumeByHand: Fault = scene => {
  const machine = anyHost(scene);
  const server = scene.random.pick(scene.fleet.servers);
  byHand(machine, `virsh resume ${server}`, () => machine.libvirt.resume(server));
  return undefined;
};

const shutDownByHand: Fault = scene => {
  const machine = anyHost(scene);
  const server = scene.random.pick(scene.fleet.servers);
  byHand(machine, `virsh shutdown ${server}`, () => machine.libvirt.pressPowerButton(server));
  return undefined;
};

const undefineByHand: Fault = scene => {
  const machine = anyHost(scene);
  const server = scene.random.pick(scene.fleet.servers);
  byHand(machine, `virsh undefine ${server}`, () => {
    machine.libvirt.undefine(server);
    scene.invariants.vandalised.add(server);
  });
  return undefined;
};

/** `virsh snapshot-create-as --disk-only`, without the overlay: metadata that Ferry must not lose. */
const snapshotByHand: Fault = scene => {
  const machine = anyHost(scene);
  const server = scene.random.pick(scene.fleet.servers);
  byHand(machine, `virsh snapshot-create-as ${server}`, () => {
    machine.libvirt
      .need("snapshot", server)
      .snapshotXmls.push("<domainsnapshot><name>by-hand</name></domainsnapshot>");
    scene.invariants.vandalised.add(server);
  });
  return undefined;
};

/** Any file that lies in an image folder: a disk that runs, one set aside, one half received. */
const removeByHand: Fault = scene => {
  const machine = anyHost(scene);
  const paths = [...machine.disk.walk("/var/lib/libvirt/images")].map(([path]) => path);
  if (paths.length === 0) return undefined;
  const path = scene.random.pick(paths);
  const name = path.split("/")[5]?.split(".")[0];
  const server = scene.invariants.servers().find(candidate => candidate.name === name);
  byHand(machine, `rm ${path}`, () => {
    scene.invariants.personRemoves = path;
    if (server !== undefined) scene.invariants.vandalised.add(server.id);
    machine.disk.remove(path, "unlink");
    scene.invariants.personRemoves = "";
  });
  return undefined;
};

function byHand(machine: Machine, what: string, body: () => void): void {
  if (!machine.isUp || !machine.libvirt.isUp) return;
  try {
    body();
    machine.say(`$ ${what}`);
  } catch (error) {
    machine.say(`$ ${what}: ${(error as Error).message}`);
  }
}

/** How often each kind happens, beside each other. */
export const FAULTS: readonly (readonly [weight: number, fault: Fault])[] = [
  [8, killDaemon],
  [4, cutPower],
  [6, cutLink],
  [3, freezeDaemon],
  [2, fillDisk],
  [1, failDisk],
  [2, flipBit],
  [3, slowDown],
  [1, stepClock],
  [3, crashLibvirt],
  [3, badWeather],
  [3, startByHand],
  [1, resumeByHand],
  [1, shutDownByHand],
];

/** A person who breaks things: what is lost by them is not held against Ferry, that nothing runs twice still is. */
export const VANDALISM: readonly (readonly [weight: number, fault: Fault])[] = [
  [1, undefineByHand],
  [1, snapshotByHand],
  [2, removeByHand],
];

export function pickFault(random: Random, kinds: typeof FAULTS): Fault {
  let left = random.next() * kinds.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, fault] of kinds) {
    left -= weight;
    if (left < 0) return fault;
  }
  throw new Error("no fault to choose");
}
