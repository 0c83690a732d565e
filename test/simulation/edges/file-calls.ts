/** What `node:fs` and `node:fs/promises` have in common: one function per call, carried out at once on the machine's disk. */

import { constants, type Dirent, type Stats } from "node:fs";
import type { Inode, OpenFile } from "../world/disk.js";
import { errno } from "../world/errno.js";
import { type Process, ProcessDied } from "../world/process.js";

export type Target = string | number;

const FLAGS: Record<string, number> = {
  r: constants.O_RDONLY,
  "r+": constants.O_RDWR,
  w: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  wx: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
  "w+": constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  "wx+": constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  a: constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND,
};

export const flagsOf = (flags: string | number | undefined): number => {
  if (typeof flags === "number") return flags;
  const known = FLAGS[flags ?? "r"];
  if (known === undefined) throw new Error(`open flags ${flags} are not simulated`);
  return known;
};

export function openAt({ machine: { disk } }: Process, path: string, flags: number, mode?: number): OpenFile {
  return disk.open(path, flags, mode);
}

/** The open file behind a descriptor, or behind `/proc/self/fd/N`. */
export function fileOf(process: Process, descriptor: number): OpenFile {
  const file = process.descriptors.get(descriptor);
  if (file === undefined && process.state === "dead") throw new ProcessDied();
  if (file === undefined) throw errno("EBADF", "fstat");
  return file;
}

const SELF = "/proc/self/fd/";

export function inodeOf(process: Process, target: Target, call: string, follow = true): Inode {
  if (typeof target === "number") return fileOf(process, target).inode;
  if (target.startsWith(SELF)) return fileOf(process, Number(target.slice(SELF.length))).inode;
  process.machine.disk.requireWorking();
  return process.machine.disk.need(target, call, follow);
}

export function contentOf(inode: Inode): Buffer {
  if (inode.kind === "directory") throw errno("EISDIR", "read");
  const bytes = Buffer.alloc(inode.sizeBytes);
  inode.data.copy(bytes);
  return bytes;
}

const TYPES = {
  file: constants.S_IFREG,
  directory: constants.S_IFDIR,
  symlink: constants.S_IFLNK,
  device: constants.S_IFBLK,
};
const LOOP_MAJOR = 7;

/** As Node's `Stats`, with what anybody asks of it. */
export function statsOf(inode: Inode, bigint = false): Stats {
  const number = (value: number | bigint) => (bigint ? BigInt(value) : Number(value));
  const isOf = (kind: Inode["kind"]) => () => inode.kind === kind;
  const no = () => false;
  return {
    dev: number(1),
    rdev: number(inode.kind === "device" ? (LOOP_MAJOR << 8) | inode.minor : 0),
    ino: number(inode.ino),
    mode: number(TYPES[inode.kind] | inode.mode),
    nlink: number(inode.names),
    uid: number(inode.uid),
    gid: number(inode.gid),
    size: number(inode.kind === "device" ? 0 : inode.sizeBytes),
    blocks: number(inode.allocatedBytes / 512),
    blksize: number(4096),
    mtimeMs: number(inode.mtimeNs / 1_000_000n),
    ctimeMs: number(inode.ctimeNs / 1_000_000n),
    birthtimeMs: number(inode.birthNs / 1_000_000n),
    ...(bigint ? { mtimeNs: inode.mtimeNs, ctimeNs: inode.ctimeNs, birthtimeNs: inode.birthNs } : {}),
    isFile: isOf("file"),
    isDirectory: isOf("directory"),
    isSymbolicLink: isOf("symlink"),
    isBlockDevice: isOf("device"),
    isCharacterDevice: no,
    isFIFO: no,
    isSocket: no,
  } as unknown as Stats;
}

export interface ListOptions {
  readonly withFileTypes?: boolean;
  readonly recursive?: boolean;
}

export function namesIn(process: Process, path: string, options: ListOptions = {}): (string | Dirent)[] {
  const directory = inodeOf(process, path, "scandir");
  if (directory.kind !== "directory") throw errno("ENOTDIR", "scandir", path);
  const found: (string | Dirent)[] = [];
  for (const [name, inode] of directory.entries) {
    found.push(options.withFileTypes === true ? direntOf(name, path, inode) : name);
    if (options.recursive === true && inode.kind === "directory")
      found.push(...namesIn(process, `${path}/${name}`, options));
  }
  return found;
}

function direntOf(name: string, parentPath: string, inode: Inode): Dirent {
  const { isFile, isDirectory, isSymbolicLink } = statsOf(inode);
  return { name, parentPath, isFile, isDirectory, isSymbolicLink } as unknown as Dirent;
}

export interface RemoveOptions {
  readonly force?: boolean;
  readonly recursive?: boolean;
}

export function removeAt({ machine: { disk } }: Process, path: string, options: RemoveOptions = {}): void {
  const found = disk.find(path, false);
  if (found === undefined && options.force === true) return;
  if (options.recursive === true) disk.removeTree(path);
  else disk.remove(path, "unlink");
}

export function makeDirectory(
  { machine: { disk } }: Process,
  path: string,
  { recursive = false, mode = 0o777 }: { readonly recursive?: boolean; readonly mode?: number } = {},
): string | undefined {
  disk.requireWorking();
  if (recursive) return disk.makeDirectories(path, mode & ~0o022);
  disk.create(path, "directory", mode & ~0o022);
  return undefined;
}

export const roomOf = ({ machine: { disk } }: Process) => ({
  type: disk.magic,
  bsize: 4096,
  blocks: Math.floor(disk.capacityBytes / 4096),
  bfree: Math.floor(disk.freeBytes / 4096),
  bavail: Math.floor(disk.freeBytes / 4096),
  files: 0,
  ffree: 0,
});
