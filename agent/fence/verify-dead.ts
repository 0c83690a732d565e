/**
 * Is an incarnation dead? libvirt's word is not enough: a daemon that lost its state calls a guest "shut off" while
 * its QEMU writes on (SAFETY R7). Dead means all of:
 *
 *   - libvirt knows no running domain of that uuid, other than an incarnation that may run,
 *   - /proc shows no QEMU of that uuid beyond it,
 *   - the kernel grants a write lease on every file (nobody has it open), or, where the file system has no leases,
 *     QEMU's own image lock.
 *
 * What cannot be found out is a fault. Leases and locks stay with the returned hold until it is disposed.
 */

import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { Files } from "../os/files.js";
import type { Hypervisor } from "../os/hypervisor.js";
import { onLeaseBreak } from "./lease-break.js";

export interface DeadEdges {
  readonly hypervisor: Pick<Hypervisor, "findDomain">;
  readonly files: Pick<Files, "takeWriteLease" | "takeQemuLock">;
  /** Process ids of every QEMU with that uuid in its command line; rejects when /proc cannot be read. */
  readonly findProcesses: (uuid: string) => Promise<readonly number[]>;
}

export interface DeadSubject {
  readonly server: string;
  /** Regular files, and directories whose files count. */
  readonly paths: readonly string[];
  /** Another incarnation of the server is defined on this host and may run (same-host resize). */
  readonly otherIncarnation: boolean;
}

/** Nobody else has these files open, for as long as `broken` is not aborted and the hold is not disposed. */
export interface Hold extends AsyncDisposable {
  /**
   * Read and write through this descriptor. Opening the path again, even in this process, breaks the lease and
   * blocks until it is given up. Undefined for a path that is not held.
   */
  descriptor(path: string): number | undefined;
  /** Aborted when somebody asks for one of the files: stop copying, dispose, verify again. */
  readonly broken: AbortSignal;
}

export async function verifyDead(edges: DeadEdges, subject: DeadSubject): Promise<Hold> {
  await requireNoGuest(edges, subject);
  const hold = await holdFiles(edges.files, subject.paths);
  try {
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

async function holdFiles(files: DeadEdges["files"], paths: readonly string[]): Promise<Hold> {
  const handles = new Map<string, FileHandle>();
  const broken = new AbortController();
  const forget = onLeaseBreak(() => broken.abort(new Fault("conflict", "somebody opened a fenced file")));
  const release = async (): Promise<void> => {
    forget();
    await Promise.all([...handles.values()].map(handle => handle.close()));
    handles.clear();
  };
  try {
    for (const path of (await Promise.all(paths.map(regularFilesAt))).flat()) {
      const handle = await holdFile(files, path);
      if (handle) handles.set(path, handle);
    }
  } catch (error) {
    await release();
    throw error;
  }
  return {
    descriptor: path => handles.get(path)?.fd,
    broken: broken.signal,
    [Symbol.asyncDispose]: release,
  };
}

/** Undefined: it lies on a read-only file system, where nobody can write to it. */
async function holdFile(files: DeadEdges["files"], path: string): Promise<FileHandle | undefined> {
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
    if (!(await leaseWherePossible(files, handle.fd))) throw inUse(path);
    if (!(await files.takeQemuLock(handle.fd))) throw inUse(path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function leaseWherePossible(files: DeadEdges["files"], fd: number): Promise<boolean> {
  try {
    return await files.takeWriteLease(fd);
  } catch (error) {
    if (error instanceof Error && "code" in error && NO_LEASES.has(String(error.code))) return true;
    throw error;
  }
}

/** What file systems and devices without leases answer; the image lock then stands alone. */
const NO_LEASES = new Set(["EINVAL", "EOPNOTSUPP", "ENOTSUP", "ENOLCK"]);

const inUse = (path: string): Fault =>
  new Fault("refused", `${path} is open in another process`, { fix: `see which: fuser -v ${path}` });

async function regularFilesAt(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOTDIR") return undefined;
      throw new Fault("failed", `read ${path}: ${error.message}`, {}, { cause: error });
    },
  );
  if (entries === undefined) return [path];
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}
