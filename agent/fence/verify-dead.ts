/**
 * Is an incarnation dead? libvirt's word is not enough: a daemon that lost its state calls a guest "shut off" while
 * its QEMU writes on (SAFETY R7). Dead means all of:
 *
 *   - libvirt knows no running domain of that uuid, other than an incarnation that may run,
 *   - /proc shows no QEMU of that uuid beyond it,
 *   - the kernel grants a write lease on every file (nobody has it open), or, where the file system has no leases,
 *     QEMU's own image lock,
 *   - nobody has one of its block devices open: they have no leases, so the kernel's claim and /proc are asked.
 *
 * What cannot be found out is a fault. Leases and locks stay with the returned hold until it is disposed. Taking a
 * lease keeps this process from dying of SIGIO when somebody asks for the file (see the addon).
 */

import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { Fault } from "../../proto/fault.js";
import { type BlockDevices, inUse as deviceInUse } from "../disk/block-devices.js";
import type { Files } from "../os/files.js";
import type { Hypervisor } from "../os/hypervisor.js";

export interface DeadEdges {
  readonly hypervisor: Pick<Hypervisor, "findDomain">;
  readonly files: Pick<Files, "takeWriteLease" | "holdsWriteLease" | "takeQemuLock" | "fileSystem">;
  readonly blockDevices: Pick<BlockDevices, "holders">;
  /** Process ids of every QEMU with that uuid in its command line; rejects when one could not be looked at. */
  readonly findProcesses: (uuid: string) => Promise<readonly number[]>;
}

export interface DeadSubject {
  readonly server: string;
  /** Regular files, and directories all of whose files count, where they lie now. */
  readonly files: readonly { readonly id: string; readonly path: string }[];
  /** Block devices, by path. */
  readonly devices?: readonly string[];
  /** Another incarnation of the server is defined on this host and may run (same-host resize). */
  readonly otherIncarnation: boolean;
}

/** Nobody else has these files open until the hold is broken or disposed. */
export interface Hold extends AsyncDisposable {
  /**
   * Read and write through this descriptor. Opening the path again, even in this process, breaks the lease and
   * blocks until it is given up. `within` names a file of a directory. Undefined for what is not held.
   */
  descriptor(id: string, within?: string): number | undefined;
  /** Rejects once somebody has asked for one of the files: stop copying, dispose, verify again. Look every second. */
  requireUnbroken(): Promise<void>;
}

export async function verifyDead(edges: DeadEdges, subject: DeadSubject): Promise<Hold> {
  await requireNoGuest(edges, subject);
  const hold = await holdFiles(edges.files, subject.files);
  try {
    for (const path of subject.devices ?? []) await requireFree(edges, path);
    // A guest may have come up between the look and the leases: leases first, then the look that counts.
    await requireNoGuest(edges, subject);
    return hold;
  } catch (error) {
    await hold[Symbol.asyncDispose]();
    throw error;
  }
}

async function requireNoGuest(edges: DeadEdges, { server, otherIncarnation }: DeadSubject): Promise<void> {
  const domain = await edges.hypervisor.findDomain(server);
  const isOff = domain === undefined || domain.state === "shut-off";
  if (!isOff && !otherIncarnation) {
    throw new Fault("refused", `${domain.name} is ${domain.state}, not shut off`, { fix: "stop it first" });
  }
  const processes = await edges.findProcesses(server);
  if (processes.length > (isOff ? 0 : 1)) {
    const list = processes.join(", ");
    throw new Fault("refused", `a QEMU of ${server} runs that libvirt does not know (process ${list})`, {
      fix: `find out what it is; it writes to the disks. End it only if its guest may be lost`,
    });
  }
}

/** For whoever looks at a device that a guest has just let go of. */
export const SETTLE_MS = 10_000;

/** Not held on to: the other side may be on this kernel, and has to see it free as well. */
async function requireFree({ blockDevices }: DeadEdges, path: string): Promise<void> {
  const holders = await blockDevices.holders(path, SETTLE_MS);
  if (holders.length > 0) throw deviceInUse(path, holders);
}

interface Place {
  readonly id: string;
  /** Empty, or the path within the directory of that id. */
  readonly within: string;
  readonly path: string;
}

interface HeldFile extends Place {
  readonly handle: FileHandle;
  /** False: the file system has none, and the image lock stands alone. */
  readonly isLeased: boolean;
}

async function holdFiles(files: DeadEdges["files"], subjects: DeadSubject["files"]): Promise<Hold> {
  const held: HeldFile[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(held.splice(0).map(({ handle }) => handle.close()));
  };
  try {
    for (const place of (await Promise.all(subjects.map(placesOf))).flat()) {
      const file = await holdFile(files, place);
      if (file) held.push(file);
    }
  } catch (error) {
    await release();
    throw error;
  }
  return {
    descriptor: (id, within = "") => held.find(file => file.id === id && file.within === within)?.handle.fd,
    requireUnbroken: () => requireUnbroken(files, held),
    [Symbol.asyncDispose]: release,
  };
}

async function requireUnbroken(files: DeadEdges["files"], held: readonly HeldFile[]): Promise<void> {
  for (const { path, handle, isLeased } of held) {
    if (!isLeased || (await files.holdsWriteLease(handle.fd))) continue;
    throw new Fault("conflict", `${path} was opened by another process while it was held`);
  }
}

/** Undefined: it lies on a read-only file system, where nobody can write to it. */
async function holdFile(files: DeadEdges["files"], place: Place): Promise<HeldFile | undefined> {
  const { path } = place;
  // Non-blocking: a lease that somebody else holds must answer EWOULDBLOCK instead of making us wait for it.
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EROFS") return undefined;
    if (error.code === "EWOULDBLOCK" || error.code === "EAGAIN") throw inUse(path);
    throw new Fault("failed", `open ${path}: ${error.message}`, {}, { cause: error });
  });
  if (!handle) return undefined;
  try {
    // The lease says that nobody has it open; the lock keeps a QEMU away even where there are no leases.
    const isLeased = await takeLease(files, path, handle.fd);
    if (!(await files.takeQemuLock(handle.fd))) throw inUse(path);
    return { ...place, handle, isLeased };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** False: there are no leases here. */
async function takeLease(files: DeadEdges["files"], path: string, fd: number): Promise<boolean> {
  const granted = await files.takeWriteLease(fd).catch((error: NodeJS.ErrnoException) => {
    if (NO_LEASES.has(error.code ?? "")) return undefined;
    throw error;
  });
  if (granted === false && !(await isNfs(files, fd))) throw inUse(path);
  return granted === true;
}

/** Without a delegation of its server, NFS 4 answers as if the file were open: that says nothing. */
const isNfs = async (files: DeadEdges["files"], fd: number): Promise<boolean> =>
  (await files.fileSystem(fd)).magic >>> 0 === NFS_MAGIC;

const NFS_MAGIC = 0x6969;

/** What file systems and devices without leases answer; the image lock then stands alone. */
const NO_LEASES = new Set(["EINVAL", "EOPNOTSUPP", "ENOTSUP", "ENOLCK"]);

const inUse = (path: string): Fault =>
  new Fault("refused", `${path} is open in another process`, { fix: `see which: fuser -v ${path}` });

async function placesOf({ id, path }: DeadSubject["files"][number]): Promise<Place[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOTDIR") return undefined;
      throw new Fault("failed", `read ${path}: ${error.message}`, {}, { cause: error });
    },
  );
  if (entries === undefined) return [{ id, within: "", path }];
  const inside = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  return inside.map(file => ({ id, within: relative(path, file), path: file }));
}
