/**
 * The file system of a simulated machine. It keeps POSIX's promises and not one more:
 *
 *   - what was written is durable after fsync of the file, with its owner and mode, a name after fsync of its directory, neither before;
 *   - a power cut may keep or lose each file and each directory that was not flushed, whichever the seed says;
 *   - a rename is atomic; an open file lives on without a name; leases and locks go with the descriptor;
 *   - it can be full, fail, and hold other bytes than were written;
 *   - a block device has a name here, a size of its own, and a count of what was written to it.
 *
 * Everything is synchronous here; `edges/` turns it into what Node offers.
 */

import { constants } from "node:fs";
import { errno } from "./errno.js";

const O_PATH = 0o10000000;
const EXT4_MAGIC = 0xef53;
const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;

/** What an agent keeps free for its journal, as it writes it. */
export const RESERVE = Buffer.alloc(16 * 1024 ** 2, 0xff);
const LEAST_RESERVED_BYTES = 64 * 1024;

export type Kind = "file" | "directory" | "symlink" | "device";

interface Durable {
  readonly data: Buffer;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly entries: ReadonlyMap<string, Inode>;
}

export class Inode {
  readonly ino: number;
  readonly kind: Kind;
  readonly birthNs: bigint;
  mode: number;
  uid = 0;
  gid = 0;
  mtimeNs: bigint;
  ctimeNs: bigint;
  /** Contents; what is beyond it, up to the size, is a hole. */
  data: Buffer = Buffer.alloc(0);
  sizeBytes = 0;
  entries = new Map<string, Inode>();
  linkTarget = "";
  /** Of a device. */
  minor = 0;
  writtenSectors = 0;
  names = 0;
  readonly opens = new Set<OpenFile>();
  durable: Durable | undefined;
  /** What the medium holds where that is not what was written. */
  medium: Buffer | undefined;
  /** `data` is also the durable copy, or somebody else's: copy before writing. */
  isShared = false;
  /** On tmpfs: gone at the next boot. */
  readonly isVolatile: boolean;
  readonly #madeMode: number;
  /** What `data` is the beginning of, if it is this inode's own. */
  #room: Buffer = Buffer.alloc(0);

  constructor(ino: number, kind: Kind, mode: number, nowNs: bigint, isVolatile: boolean) {
    this.ino = ino;
    this.kind = kind;
    this.mode = mode;
    this.#madeMode = mode;
    this.birthNs = nowNs;
    this.mtimeNs = nowNs;
    this.ctimeNs = nowNs;
    this.isVolatile = isVolatile;
  }

  get allocatedBytes(): number {
    return Math.ceil(this.data.length / BLOCK_BYTES) * BLOCK_BYTES;
  }

  /** As the device would answer, past the page cache. */
  get onMedium(): Buffer {
    return this.medium ?? this.data;
  }

  flush(): void {
    const { data, sizeBytes, mode, uid, gid } = this;
    this.isShared = true;
    this.durable = { data, sizeBytes, mode, uid, gid, entries: new Map(this.entries) };
  }

  /** What fdatasync promises: contents and size, not whose it is and who may use it. */
  flushData(): void {
    const { mode, uid, gid } = this.durable ?? { mode: this.#madeMode, uid: 0, gid: 0 };
    this.flush();
    if (this.durable !== undefined) this.durable = { ...this.durable, mode, uid, gid };
  }

  get isFlushed(): boolean {
    const { durable } = this;
    if (durable === undefined || this.hasNewContent) return false;
    if (durable.mode !== this.mode || durable.uid !== this.uid || durable.gid !== this.gid) return false;
    return this.kind !== "directory" || sameEntries(durable.entries, this.entries);
  }

  /** Of a file: bytes that a flush would write. */
  get hasNewContent(): boolean {
    return this.durable?.data !== this.data || this.durable.sizeBytes !== this.sizeBytes;
  }

  /** To hold so many bytes, in memory of its own; with room for as many again, as files are mostly appended to. */
  grow(sizeBytes: number): void {
    const length = Math.max(sizeBytes, this.data.length);
    const isOurs = !this.isShared && this.data.buffer === this.#room.buffer;
    if (!isOurs || length > this.#room.length) {
      this.#room = Buffer.alloc(this.data.length === 0 ? length : length * 2);
      this.data.copy(this.#room);
    }
    this.data = this.#room.subarray(0, length);
    this.isShared = false;
  }

  /** Appends what every reserve is made of, which needs no memory of its own; false for anything else. */
  reserve(bytes: Uint8Array, offset: number): boolean {
    const isReserve = offset === 0 || this.data.buffer === RESERVE.buffer;
    const end = offset + bytes.length;
    if (!isReserve || bytes.length < LEAST_RESERVED_BYTES || offset !== this.data.length) return false;
    if (!RESERVE.subarray(offset, end).equals(bytes)) return false;
    this.data = RESERVE.subarray(0, end);
    this.isShared = true;
    return true;
  }

  /** After a power cut: only what was flushed. */
  forgetUnflushed(): void {
    this.data = this.durable?.data ?? Buffer.alloc(0);
    this.sizeBytes = this.durable?.sizeBytes ?? 0;
    this.entries = new Map(this.durable?.entries ?? []);
    this.mode = this.durable?.mode ?? this.mode;
    this.uid = this.durable?.uid ?? this.uid;
    this.gid = this.durable?.gid ?? this.gid;
    this.isShared = true;
  }
}

const sameEntries = (one: ReadonlyMap<string, Inode>, other: ReadonlyMap<string, Inode>): boolean =>
  one.size === other.size && [...one].every(([name, inode]) => other.get(name) === inode);

/** One open file description. Its lease and lock end with it. */
export class OpenFile {
  readonly inode: Inode;
  readonly path: string;
  readonly flags: number;
  readonly #disk: Disk;
  hasLease = false;
  hasLock = false;
  /** Somebody else wanted the file that this one has a lease on. */
  isLeaseBroken = false;
  position = 0;

  constructor(disk: Disk, inode: Inode, path: string, flags: number) {
    this.#disk = disk;
    this.inode = inode;
    this.path = path;
    this.flags = flags;
    if (!this.isPathOnly) inode.opens.add(this);
  }

  get isPathOnly(): boolean {
    return (this.flags & O_PATH) !== 0;
  }

  close(): void {
    this.inode.opens.delete(this);
    this.hasLease = false;
    this.hasLock = false;
  }

  /** Granted when nobody else has the file open. */
  takeLease(): boolean {
    if ([...this.inode.opens].some(other => other !== this)) return false;
    this.hasLease = true;
    this.isLeaseBroken = false;
    return true;
  }

  takeLock(): boolean {
    if ([...this.inode.opens].some(other => other !== this && other.hasLock)) return false;
    this.hasLock = true;
    return true;
  }

  read(length: number, offset: number): Buffer {
    this.#disk.requireWorking();
    const { data, sizeBytes } = this.inode;
    const end = Math.min(offset + length, sizeBytes);
    if (offset >= end) return Buffer.alloc(0);
    const bytes = Buffer.alloc(end - offset);
    if (offset < data.length) data.copy(bytes, 0, offset, Math.min(end, data.length));
    return bytes;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#disk.requireWorking();
    const { inode } = this;
    const end = offset + bytes.length;
    if (inode.kind === "device") {
      if (end > inode.sizeBytes) throw errno("ENOSPC");
      inode.writtenSectors += Math.ceil(bytes.length / SECTOR_BYTES);
      this.#disk.onDeviceWrite(inode);
    }
    if (end > inode.data.length && !inode.isVolatile) this.#disk.take(end - inode.data.length);
    if (!inode.reserve(bytes, offset)) {
      if (inode.isShared || end > inode.data.length) inode.grow(end);
      inode.data.set(bytes, offset);
    }
    inode.sizeBytes = Math.max(inode.sizeBytes, end);
    inode.medium = undefined;
    this.#disk.touch(inode);
  }

  truncate(sizeBytes: number): void {
    this.#disk.requireWorking();
    const { inode } = this;
    if (sizeBytes < inode.data.length) {
      if (!inode.isVolatile) this.#disk.take(sizeBytes - inode.data.length);
      inode.data = Buffer.from(inode.data.subarray(0, sizeBytes));
      inode.isShared = false;
    }
    inode.sizeBytes = sizeBytes;
    this.#disk.touch(inode);
  }

  flush(): void {
    this.#flush(inode => inode.flush());
  }

  flushData(): void {
    this.#flush(inode => inode.flushData());
  }

  #flush(how: (inode: Inode) => void): void {
    this.#disk.requireWorking();
    if (this.inode.isFlushed) return;
    const { hasNewContent } = this.inode;
    how(this.inode);
    if (hasNewContent) this.#disk.onFlush(this);
  }
}

/** Of a device: the kernel gives it to one at a time. */
const isClaim = ({ flags }: OpenFile): boolean => (flags & constants.O_EXCL) !== 0;

export interface DiskOptions {
  readonly nowNs: () => bigint;
  readonly device: string;
  readonly capacityBytes: number;
}

export class Disk {
  readonly device: string;
  readonly capacityBytes: number;
  readonly magic = EXT4_MAGIC;
  readonly root: Inode;
  usedBytes = 0;
  /** Every access fails with EIO. */
  isFailing = false;
  /** Told of each name that changes hands: `to` is undefined for one that goes. */
  onMove: (inode: Inode, from: string, to: string | undefined) => void = () => {};
  /** Told of each flush of new content: where a medium may go wrong. */
  onFlush: (file: OpenFile) => void = () => {};
  /** Told of each write to a device. */
  onDeviceWrite: (inode: Inode) => void = () => {};
  readonly #nowNs: () => bigint;
  #nextInode = 100;

  constructor({ nowNs, device, capacityBytes }: DiskOptions) {
    this.#nowNs = nowNs;
    this.device = device;
    this.capacityBytes = capacityBytes;
    this.root = this.#make("directory", 0o755, false);
    this.root.flush();
  }

  get freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  requireWorking(): void {
    if (this.isFailing) throw errno("EIO");
  }

  /** Counts bytes as used; ENOSPC when there are none left. */
  take(bytes: number): void {
    if (bytes > this.freeBytes) throw errno("ENOSPC");
    this.usedBytes += bytes;
  }

  touch(inode: Inode): void {
    const now = this.#nowNs();
    // Two changes at one virtual instant are two changes.
    inode.mtimeNs = now > inode.mtimeNs ? now : inode.mtimeNs + 1n;
    inode.ctimeNs = inode.mtimeNs;
  }

  /** Undefined when there is nothing; links are followed, the last one only if `follow`. */
  find(path: string, follow = true, depth = 0): Inode | undefined {
    if (depth > 8) throw errno("ELOOP", "open", path);
    let inode = this.root;
    const names = path.split("/").filter(name => name !== "" && name !== ".");
    for (const [index, name] of names.entries()) {
      if (inode.kind !== "directory") throw errno("ENOTDIR", "open", path);
      const next = inode.entries.get(name);
      if (next === undefined) return undefined;
      const isLast = index === names.length - 1;
      if (next.kind === "symlink" && (!isLast || follow)) {
        const rest = names.slice(index + 1).join("/");
        return this.find(`${next.linkTarget}/${rest}`, follow, depth + 1);
      }
      inode = next;
    }
    return inode;
  }

  need(path: string, call: string, follow = true): Inode {
    const inode = this.find(path, follow);
    if (inode === undefined) throw errno("ENOENT", call, path);
    return inode;
  }

  open(path: string, flags: number, mode = 0o666): OpenFile {
    this.requireWorking();
    const follow = (flags & constants.O_NOFOLLOW) === 0;
    const found = this.find(path, follow);
    if (found !== undefined) return this.#openKnown(found, path, flags);
    if ((flags & constants.O_CREAT) === 0) throw errno("ENOENT", "open", path);
    return new OpenFile(this, this.create(path, "file", mode & ~0o022), path, flags);
  }

  #openKnown(inode: Inode, path: string, flags: number): OpenFile {
    if ((flags & constants.O_CREAT) !== 0 && (flags & constants.O_EXCL) !== 0)
      throw errno("EEXIST", "open", path);
    if (inode.kind === "symlink" && (flags & O_PATH) === 0) throw errno("ELOOP", "open", path);
    if ((flags & constants.O_EXCL) !== 0 && [...inode.opens].some(isClaim))
      throw errno("EBUSY", "open", path);
    const isWrite = (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    if (inode.kind === "directory" && isWrite) throw errno("EISDIR", "open", path);
    if (inode.kind !== "directory" && (flags & constants.O_DIRECTORY) !== 0)
      throw errno("ENOTDIR", "open", path);
    if ((flags & O_PATH) === 0) this.#breakLeases(inode, path, flags);
    const file = new OpenFile(this, inode, path, flags);
    if ((flags & constants.O_TRUNC) !== 0) file.truncate(0);
    return file;
  }

  /** Whoever may not wait is refused; whoever waits gets the file when the holder has been told. */
  #breakLeases(inode: Inode, path: string, flags: number): void {
    const held = [...inode.opens].filter(({ hasLease }) => hasLease);
    if (held.length === 0) return;
    for (const file of held) file.isLeaseBroken = true;
    if ((flags & constants.O_NONBLOCK) !== 0) throw errno("EWOULDBLOCK", "open", path);
    for (const file of held) file.hasLease = false;
  }

  create(path: string, kind: Kind, mode: number): Inode {
    const { directory, name } = this.#placeOf(path, "open");
    if (directory.entries.has(name)) throw errno("EEXIST", kind === "directory" ? "mkdir" : "open", path);
    this.take(0);
    const inode = this.#make(kind, mode, directory.isVolatile);
    this.#enter(directory, name, inode);
    return inode;
  }

  /** With this content, as large as that. */
  createDevice(path: string, minor: number, content: Buffer): Inode {
    const inode = this.create(path, "device", 0o660);
    inode.minor = minor;
    inode.data = content;
    inode.sizeBytes = content.length;
    inode.flush();
    return inode;
  }

  /** The first one that it had to make. */
  makeDirectories(path: string, mode: number, isVolatile = false): string | undefined {
    let directory = this.root;
    let at = "";
    let first: string | undefined;
    for (const name of path.split("/").filter(part => part !== "")) {
      at += `/${name}`;
      const next = directory.entries.get(name);
      if (next !== undefined && next.kind !== "directory") throw errno("ENOTDIR", "mkdir", path);
      const made = next ?? this.#make("directory", mode, isVolatile || directory.isVolatile);
      if (next === undefined) {
        this.#enter(directory, name, made);
        first ??= at;
      }
      directory = made;
    }
    return first;
  }

  link(inode: Inode, path: string): void {
    const { directory, name } = this.#placeOf(path, "link");
    if (directory.entries.has(name)) throw errno("EEXIST", "link", path);
    this.#enter(directory, name, inode);
  }

  remove(path: string, call: "unlink" | "rmdir"): void {
    this.requireWorking();
    const { directory, name } = this.#placeOf(path, call);
    const inode = directory.entries.get(name);
    if (inode === undefined) throw errno("ENOENT", call, path);
    if (call === "unlink" && inode.kind === "directory") throw errno("EISDIR", call, path);
    if (call === "rmdir" && inode.kind !== "directory") throw errno("ENOTDIR", call, path);
    if (call === "rmdir" && inode.entries.size > 0) throw errno("ENOTEMPTY", call, path);
    this.onMove(inode, path, undefined);
    directory.entries.delete(name);
    this.touch(directory);
    inode.names -= 1;
    if (inode.names === 0 && inode.kind === "file" && !inode.isVolatile) this.usedBytes -= inode.data.length;
  }

  removeTree(path: string): void {
    const inode = this.need(path, "rm", false);
    const isDirectory = inode.kind === "directory";
    if (isDirectory) for (const name of inode.entries.keys()) this.removeTree(`${path}/${name}`);
    this.remove(path, isDirectory ? "rmdir" : "unlink");
  }

  rename(oldPath: string, newPath: string, replace: boolean): void {
    this.requireWorking();
    const from = this.#placeOf(oldPath, "rename");
    const to = this.#placeOf(newPath, "rename");
    const inode = from.directory.entries.get(from.name);
    if (inode === undefined) throw errno("ENOENT", "rename", oldPath);
    const taken = to.directory.entries.get(to.name);
    if (taken === inode) return;
    if (taken !== undefined && !replace) throw errno("EEXIST", "rename", newPath);
    if (taken !== undefined) this.remove(newPath, taken.kind === "directory" ? "rmdir" : "unlink");
    this.onMove(inode, oldPath, newPath);
    from.directory.entries.delete(from.name);
    to.directory.entries.set(to.name, inode);
    this.touch(from.directory);
    this.touch(to.directory);
    inode.ctimeNs = from.directory.ctimeNs;
  }

  flushPath(path: string): void {
    this.need(path, "fsync").flush();
  }

  /** Of what was not flushed only that stays which was written back in time: `keeps` says so of each file and folder. */
  loseUnflushed(keeps: (inode: Inode) => boolean): void {
    for (const inode of this.#all()) {
      inode.opens.clear();
      if (inode.isVolatile) inode.entries.clear();
      else if (!inode.isFlushed) {
        if (keeps(inode)) inode.flush();
        else inode.forgetUnflushed();
      }
      if (inode.medium !== undefined) inode.data = inode.medium;
      inode.medium = undefined;
    }
    this.#count();
  }

  /** Every file of the tree below a path, by path. */
  *walk(path: string): Generator<[string, Inode]> {
    const inode = this.find(path, false);
    if (inode === undefined) return;
    if (inode.kind !== "directory") yield [path, inode];
    else for (const name of inode.entries.keys()) yield* this.walk(`${path}/${name}`);
  }

  #all(): Set<Inode> {
    const found = new Set<Inode>();
    const visit = (inode: Inode) => {
      if (found.has(inode)) return;
      found.add(inode);
      for (const entry of inode.entries.values()) visit(entry);
      for (const entry of inode.durable?.entries.values() ?? []) visit(entry);
    };
    visit(this.root);
    return found;
  }

  #count(): void {
    const found = new Set<Inode>();
    const visit = (inode: Inode) => {
      for (const entry of inode.entries.values()) {
        if (!found.has(entry)) entry.names = 0;
        entry.names += 1;
        if (found.has(entry)) continue;
        found.add(entry);
        visit(entry);
      }
    };
    visit(this.root);
    const kept = [...found].filter(({ isVolatile, kind }) => !isVolatile && kind !== "device");
    this.usedBytes = kept.reduce((sum, inode) => sum + inode.data.length, 0);
  }

  #make(kind: Kind, mode: number, isVolatile: boolean): Inode {
    return new Inode(this.#nextInode++, kind, mode, this.#nowNs(), isVolatile);
  }

  #enter(directory: Inode, name: string, inode: Inode): void {
    directory.entries.set(name, inode);
    inode.names += 1;
    this.touch(directory);
  }

  #placeOf(path: string, call: string): { directory: Inode; name: string } {
    const at = path.lastIndexOf("/");
    const directory = this.need(path.slice(0, at) || "/", call);
    if (directory.kind !== "directory") throw errno("ENOTDIR", call, path);
    const name = path.slice(at + 1);
    if (name === "") throw errno("EISDIR", call, path);
    return { directory, name };
  }
}
