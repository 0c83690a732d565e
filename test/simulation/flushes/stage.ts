/**
 * A simulated machine on which one thing is done, and whose power is cut then; of the files and folders that were not flushed
 * by then none is on its disk, or all of them, or any few.
 */

import type { Files } from "../../../agent/os/files.js";
import { Fault } from "../../../proto/fault.js";
import { nativeFiles } from "../edges/native-files.js";
import type { Disk } from "../world/disk.js";
import { context, Process } from "../world/process.js";
import { World } from "../world/world.js";
import { without } from "./flush-at.js";

export interface Stage {
  readonly disk: Disk;
  readonly files: Files;
  /** A file as if it had always been there. */
  put(path: string, content: string | Buffer): void;
  /** All of it, or nothing where there is no such file. */
  read(path: string): string | undefined;
  /** Names in a folder. */
  list(path: string): string[];
}

export interface FlushCase {
  readonly name: string;
  /** What was always there. */
  readonly before?: (stage: Stage) => unknown;
  readonly act: (stage: Stage) => Promise<unknown>;
  /** After the power cut: what was promised when `act` returned is there. */
  readonly holds: (stage: Stage) => unknown;
  /** The same when the power is cut at any step of it; where that matters. */
  readonly holdsMeanwhile?: (stage: Stage) => unknown;
}

interface Run {
  /** The flush that is not there. */
  readonly site: string;
  /** Which of the files and folders that were not flushed are on the disk all the same, one bit each. */
  readonly kept: number;
  /** Until the power is cut; all of them when left out. */
  readonly steps?: number;
}

interface Outcome {
  readonly holds: boolean;
  readonly isOver: boolean;
  /** Files and folders that were not flushed. */
  readonly unflushed: number;
  readonly met: ReadonlySet<string>;
}

/** More of them are not told apart. */
const MOST_UNFLUSHED = 4;

/**
 * Whether what was promised holds without the flush that is named, whatever of the rest the disk has kept; and the places
 * at which it would have flushed. Ends with the first thing that is lost.
 */
export async function tryWithout(one: FlushCase, site = ""): Promise<{ holds: boolean; met: Set<string> }> {
  const met = new Set<string>();
  let holds = true;
  const cutAfter = async (steps?: number): Promise<boolean> => {
    let isOver = false;
    for (let kept = 0, unflushed = 0; kept < 2 ** unflushed || kept === 0; kept += 1) {
      const outcome = await run(one, { site, kept, ...(steps === undefined ? {} : { steps }) });
      isOver = outcome.isOver;
      holds &&= outcome.holds;
      for (const name of outcome.met) met.add(name);
      if (!holds) return true;
      unflushed = Math.min(outcome.unflushed, MOST_UNFLUSHED);
    }
    return isOver;
  };
  await cutAfter();
  if (one.holdsMeanwhile !== undefined) for (let steps = 0; holds && !(await cutAfter(steps)); ) steps += 1;
  return { holds, met };
}

async function run({ before, act, ...looks }: FlushCase, { site, kept, steps }: Run): Promise<Outcome> {
  const world = new World(1);
  try {
    const machine = world.add("h1");
    machine.slowness = { chance: 0, mostMs: 0 };
    machine.disk.makeDirectories("/images", 0o711);
    const stage = stageOn(machine);
    await inProcess(machine, async () => before?.(stage));
    machine.flushTree();
    const process = new Process(machine, "test", machine.nextPid());
    if (steps !== undefined) process.endAfter(steps, () => process.kill());
    const died = new Promise<void>(resolve => process.onDeath.add(() => resolve()));
    const met = await without(site, () => Promise.race([died, context.run(process, () => act(stage))]));
    const isOver = process.state !== "dead";
    process.kill();
    let unflushed = 0;
    machine.disk.loseUnflushed(() => (kept & (1 << unflushed++)) !== 0);
    const look = isOver ? looks.holds : (looks.holdsMeanwhile ?? looks.holds);
    return { holds: await sees(machine, async () => look(stage)), isOver, unflushed, met };
  } finally {
    world.close();
  }
}

/** Also what is refused then is not what was promised. */
async function sees(machine: Machine, look: () => Promise<unknown>): Promise<boolean> {
  const seen = await inProcess(machine, look).catch((error: unknown) => {
    if (error instanceof Fault) return false;
    throw error;
  });
  return seen !== false;
}

type Machine = ReturnType<World["add"]>;

/** One that ends with it. */
async function inProcess<T>(machine: Machine, body: () => Promise<T>): Promise<T> {
  const process = new Process(machine, "test", machine.nextPid());
  try {
    return await context.run(process, body);
  } finally {
    process.kill();
  }
}

const stageOn = (machine: Machine): Stage => ({
  disk: machine.disk,
  files: nativeFiles(),
  put: (path, content) => machine.writeFile(path, content),
  read: path => {
    const inode = machine.disk.find(path);
    if (inode === undefined) return undefined;
    const bytes = Buffer.alloc(inode.sizeBytes);
    inode.data.copy(bytes);
    return bytes.toString("latin1");
  },
  list: path => [...(machine.disk.find(path)?.entries.keys() ?? [])],
});
