/**
 * The block devices of this host that disks may lie on: those that are listed (SAFETY R19), what they are, who has one
 * open, and one held for whoever is to read it. Nothing here reads or writes a byte of them.
 *
 * Leases do not exist for devices, and QEMU's image lock lies on the device's node, of which each guest may have its own. So
 * that nobody has one open (SAFETY R7) is found out by a claim, which the kernel refuses while the device is mounted, or part
 * of another one, or claimed; and by every descriptor of every process, compared by device number.
 */

import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { posix } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../proto/fault.js";
import type { FileFacts } from "../os/files.js";
import { openTrees, type Roots } from "../probe/roots.js";
import { type BlockDevice, type DeviceNumber, describeBlockDevice, writtenSectors } from "./block-device.js";
import { UNBORN } from "./file-identity.js";
import { findOpeners } from "./process-watch.js";

export interface BlockDevices {
  /** Fault("refused") for one that is not listed or is no block device, Fault("not-found") for none there. */
  read(path: string): Promise<BlockDevice>;
  /** Why the kernel lets nobody else have it; undefined: it would. */
  whyClaimed(path: string): Promise<string | undefined>;
  /**
   * Flushed first. Who still has it open after so long: when a guest ends, udev looks at each device that it had, for a moment.
   * Empty: nobody.
   */
  holders(path: string, patienceMs: number): Promise<readonly string[]>;
  /** Sectors written to it since it came up; undefined: the kernel does not count. */
  writes(path: string): Promise<number | undefined>;
  /** Claimed, flushed and read-only, once nobody else has it open; Fault("refused") when somebody still has after so long. */
  hold(path: string, patienceMs: number): Promise<HeldDevice>;
}

/** A device that the kernel gives to nobody else for mounting or building upon, until it is disposed. */
export interface HeldDevice extends AsyncDisposable {
  readonly fd: number;
  readonly device: BlockDevice;
  /** In place of a file's: the kernel's name of it for its identity, the sectors written for its time. */
  facts(): Promise<FileFacts>;
}

export interface BlockDeviceRules {
  /** Patterns of paths below /dev, `*` for what holds no slash. */
  readonly listed: readonly string[];
  readonly roots: Roots;
  readonly bootId: string;
}

const LOOK_AGAIN_MS = 200;

export const blockDevices = (rules: BlockDeviceRules): BlockDevices => ({
  read: path => readDevice(path, rules),
  whyClaimed: async path => {
    requireListed(path, rules.listed);
    const claim = await claimDevice(path);
    if (typeof claim === "string") return claim;
    await claim.close();
    return undefined;
  },
  holders: async (path, patienceMs) => {
    requireListed(path, rules.listed);
    const claim = await claimFree(path, rules.roots.proc, patienceMs);
    if (Array.isArray(claim)) return claim;
    await claim.close();
    return [];
  },
  writes: async path => {
    requireListed(path, rules.listed);
    const number = await numberOf(path);
    await using device = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return writesOf(device, number, rules);
  },
  hold: (path, patienceMs) => holdDevice(path, patienceMs, rules),
});

const treeOf = ({ roots }: BlockDeviceRules, report: (problem: string) => void = () => {}) =>
  openTrees(roots, report).sys;

export function isListed(path: string, listed: readonly string[]): boolean {
  return path === posix.normalize(path) && listed.some(pattern => patternOf(pattern).test(path));
}

const patternOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*")}$`);

async function readDevice(path: string, rules: BlockDeviceRules): Promise<BlockDevice> {
  requireListed(path, rules.listed);
  return describe(path, await numberOf(path), rules);
}

async function describe(path: string, number: DeviceNumber, rules: BlockDeviceRules): Promise<BlockDevice> {
  const problems: string[] = [];
  const sys = treeOf(rules, problem => problems.push(problem));
  const found = await describeBlockDevice(path, number, rules.bootId, sys);
  if (found !== undefined) return found;
  throw new Fault("failed", `the size of the block device ${path} is not known`, {
    have: problems[0] ?? "no medium",
    need: "a device with its size in /sys/dev/block",
  });
}

function requireListed(path: string, listed: readonly string[]): void {
  if (isListed(path, listed)) return;
  throw new Fault("refused", `the block device ${path} is not listed`, {
    have: path,
    need: listed.join(", ") || "a list of block devices",
    fix: "give the disk its path in /dev/disk/by-id, or add it to block_devices in agent.toml",
  });
}

async function numberOf(path: string): Promise<DeviceNumber> {
  const facts = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT")
      throw new Fault("not-found", `there is no block device ${path}`, { fix: SHOW_IT }, { cause: error });
    throw new Fault("failed", `look at ${path}: ${error.message}`, {}, { cause: error });
  });
  if (!facts.isBlockDevice())
    throw new Fault("refused", `${path} is no block device`, {
      need: "a block device",
      fix: "a file is a disk of type file",
    });
  return deviceNumber(facts.rdev);
}

const SHOW_IT =
  "show the device to the host under this path (zoning, iSCSI login, vgchange -ay), and devices to the agent: see Block devices in docs/operating.md";

/** As the C library packs it. */
export const deviceNumber = (packed: bigint): DeviceNumber => ({
  major: Number(((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xfffff000n)),
  minor: Number((packed & 0xffn) | ((packed >> 12n) & 0xffffff00n)),
});

/** Read-only: to close a device that was open for writing would make udev look at it again. */
async function claimDevice(path: string): Promise<FileHandle | string> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EBUSY") return "the host itself (mounted, swap, or part of another device)";
    throw new Fault("failed", `open ${path}: ${message}`, {}, { cause: error });
  }
}

async function holdDevice(path: string, patienceMs: number, rules: BlockDeviceRules): Promise<HeldDevice> {
  requireListed(path, rules.listed);
  const claim = await claimFree(path, rules.roots.proc, patienceMs);
  if (Array.isArray(claim)) throw inUse(path, claim);
  try {
    // By the descriptor: the path may lead to another device by now.
    const number = deviceNumber((await claim.stat({ bigint: true })).rdev);
    const device = await describe(path, number, rules);
    return {
      fd: claim.fd,
      device,
      facts: async () => factsOf(await describe(path, number, rules), await writesOf(claim, number, rules)),
      [Symbol.asyncDispose]: () => claim.close(),
    };
  } catch (error) {
    await claim.close();
    throw error;
  }
}

/** Flushed first: what somebody has written counts once it is on its way to the device. */
async function writesOf(device: FileHandle, number: DeviceNumber, rules: BlockDeviceRules) {
  await device.datasync();
  return writtenSectors(number, treeOf(rules));
}

function factsOf({ path, sizeBytes, kernelId }: BlockDevice, writes: number | undefined): FileFacts {
  if (writes === undefined || kernelId === "")
    throw new Fault("failed", `whether anybody writes to ${path} cannot be seen`, { fix: COUNT_THEM });
  const identity = { device: kernelId, inode: "0", birthNs: UNBORN };
  return { ...identity, sizeBytes, allocatedBytes: sizeBytes, mtimeNs: `${writes}`, ctimeNs: "0" };
}

export const COUNT_THEM = "let the kernel count its writes: echo 1 > /sys/block/NAME/queue/iostats";

export const inUse = (path: string, holders: readonly string[]): Fault =>
  new Fault("refused", `the block device ${path} is open on this host`, {
    have: holders.join(", "),
    need: "a device that nobody here has open",
    fix: `see which: fuser -v ${path}, lsblk ${path}`,
  });

/** The claim once nobody else has it open, or who still has after so long. */
async function claimFree(path: string, procRoot: string, patienceMs: number): Promise<FileHandle | string[]> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const claim = await claimNow(path, procRoot);
    if (!Array.isArray(claim) || performance.now() >= deadlineMs) return claim;
    await delay(LOOK_AGAIN_MS);
  }
}

/** Claimed while the processes are looked at, so that the kernel takes no other claim meanwhile. */
async function claimNow(path: string, procRoot: string): Promise<FileHandle | string[]> {
  const claim = await claimDevice(path);
  if (typeof claim === "string") return [claim];
  try {
    // What this host has written of it is on it before anybody says that the host has let go.
    await claim.datasync();
    const { found, unknown } = await findOpeners(procRoot, [path]);
    const others = found.filter(({ pid }) => pid !== process.pid);
    if (others.length === 0 && unknown.length > 0) throw notSeen(path, unknown);
    if (others.length === 0) return claim;
    await claim.close();
    return others.map(({ pid, program }) => `process ${pid} (${program})`);
  } catch (error) {
    await claim.close();
    throw error;
  }
}

const notSeen = (
  path: string,
  unknown: readonly { readonly pid: number; readonly reason: string }[],
): Fault =>
  new Fault(
    "failed",
    `cannot tell who has ${path} open: ${unknown.map(({ pid, reason }) => `${pid}: ${reason}`).join(", ")}`,
  );
