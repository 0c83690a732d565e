/**
 * The block devices of this host that disks may lie on: those that are listed (SAFETY R19), what they are, and who has one
 * open. Nothing here reads or writes a byte of them.
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
import { openTrees, type Roots } from "../probe/roots.js";
import { type BlockDevice, type DeviceNumber, describeBlockDevice } from "./block-device.js";
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
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      const holders = await holdersNow(path, rules.roots.proc);
      if (holders.length === 0 || performance.now() >= deadlineMs) return holders;
      await delay(LOOK_AGAIN_MS);
    }
  },
});

export function isListed(path: string, listed: readonly string[]): boolean {
  return path === posix.normalize(path) && listed.some(pattern => patternOf(pattern).test(path));
}

const patternOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*")}$`);

async function readDevice(path: string, { listed, roots, bootId }: BlockDeviceRules): Promise<BlockDevice> {
  requireListed(path, listed);
  const number = await numberOf(path);
  const problems: string[] = [];
  const { sys } = openTrees(roots, problem => problems.push(problem));
  const found = await describeBlockDevice(path, number, bootId, sys);
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

/** Claimed while the processes are looked at, so that the kernel takes no other claim meanwhile. */
async function holdersNow(path: string, procRoot: string): Promise<string[]> {
  const claim = await claimDevice(path);
  if (typeof claim === "string") return [claim];
  try {
    // What this host has written of it is on it before anybody says that the host has let go.
    await claim.datasync();
    const { found, unknown } = await findOpeners(procRoot, [path]);
    const others = found.filter(({ pid }) => pid !== process.pid);
    if (others.length === 0 && unknown.length > 0) throw notSeen(path, unknown);
    return others.map(({ pid, program }) => `process ${pid} (${program})`);
  } finally {
    await claim.close();
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
