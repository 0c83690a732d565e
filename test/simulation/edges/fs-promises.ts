/** Stands for `node:fs/promises`: the calls that the daemons make, on the simulated machine's disk. */

import { readFileSync } from "node:fs";
import type { OpenFile } from "../world/disk.js";
import { errno } from "../world/errno.js";
import { type Process, step } from "../world/process.js";
import {
  contentOf,
  flagsOf,
  inodeOf,
  type ListOptions,
  makeDirectory,
  namesIn,
  openAt,
  type RemoveOptions,
  removeAt,
  roomOf,
  statsOf,
} from "./file-calls.js";

export { constants } from "node:fs";

type Encoding = BufferEncoding | { readonly encoding?: BufferEncoding | null } | null | undefined;

const encodingOf = (encoding: Encoding): BufferEncoding | undefined =>
  (typeof encoding === "object" ? encoding?.encoding : encoding) ?? undefined;

const decoded = (bytes: Buffer, encoding: Encoding): Buffer | string => {
  const name = encodingOf(encoding);
  return name === undefined ? bytes : bytes.toString(name);
};

export class FileHandle {
  readonly fd: number;
  readonly #process: Process;
  readonly #file: OpenFile;

  constructor(process: Process, file: OpenFile) {
    this.#process = process;
    this.#file = file;
    this.fd = process.describe(file);
  }

  async read(buffer: Buffer, offset = 0, length = buffer.length - offset, position: number | null = null) {
    await step();
    const at = position ?? this.#file.position;
    const bytes = this.#file.read(length, at);
    bytes.copy(buffer, offset);
    if (position === null) this.#file.position += bytes.length;
    return { bytesRead: bytes.length, buffer };
  }

  async write(
    data: Uint8Array | string,
    offset = 0,
    length = data.length - offset,
    position: number | null = null,
  ) {
    await step();
    const bytes = typeof data === "string" ? Buffer.from(data) : data.subarray(offset, offset + length);
    const at = position ?? this.#file.position;
    this.#file.write(bytes, at);
    if (position === null) this.#file.position += bytes.length;
    return { bytesWritten: bytes.length, buffer: data };
  }

  async writeFile(data: Uint8Array | string) {
    await this.write(typeof data === "string" ? Buffer.from(data) : data);
  }

  async readFile(encoding?: Encoding) {
    await step();
    return decoded(contentOf(this.#file.inode), encoding);
  }

  async stat(options: { readonly bigint?: boolean } = {}) {
    await step();
    return statsOf(this.#file.inode, options.bigint);
  }

  async chmod(mode: number) {
    await step();
    this.#file.inode.mode = mode;
  }

  async chown(uid: number, gid: number) {
    await step();
    Object.assign(this.#file.inode, { uid, gid });
  }

  async truncate(sizeBytes = 0) {
    await step();
    this.#file.truncate(sizeBytes);
  }

  async sync() {
    await step();
    this.#file.flush();
  }

  async datasync() {
    await step();
    this.#file.flushData();
  }

  async close() {
    await step();
    this.#file.close();
    this.#process.descriptors.delete(this.fd);
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

export async function open(path: string, flags?: string | number, mode?: number): Promise<FileHandle> {
  const process = await step();
  return new FileHandle(process, openAt(process, path, flagsOf(flags), mode));
}

/** What is shipped with the program is read where it really lies. */
export async function readFile(path: string | URL, encoding?: Encoding): Promise<Buffer | string> {
  if (path instanceof URL) return decoded(readFileSync(path), encoding);
  const process = await step();
  return decoded(contentOf(inodeOf(process, path, "open")), encoding);
}

export async function writeFile(path: string, data: string | Uint8Array, options: { mode?: number } = {}) {
  const process = await step();
  const file = openAt(process, path, flagsOf("w"), options.mode);
  file.write(typeof data === "string" ? Buffer.from(data) : data, 0);
  file.close();
}

export async function readdir(path: string, options?: ListOptions) {
  return namesIn(await step(), path, options);
}

export async function stat(path: string, options: { readonly bigint?: boolean } = {}) {
  return statsOf(inodeOf(await step(), path, "stat"), options.bigint);
}

export async function lstat(path: string, options: { readonly bigint?: boolean } = {}) {
  return statsOf(inodeOf(await step(), path, "lstat", false), options.bigint);
}

export async function access(path: string) {
  inodeOf(await step(), path, "access");
}

export async function realpath(path: string) {
  inodeOf(await step(), path, "realpath");
  return path;
}

export async function readlink(path: string) {
  const inode = inodeOf(await step(), path, "readlink", false);
  if (inode.kind !== "symlink") throw errno("ENOENT", "readlink", path);
  return inode.linkTarget;
}

export async function mkdir(path: string, options?: { recursive?: boolean; mode?: number }) {
  return makeDirectory(await step(), path, options);
}

export async function mkdtemp(prefix: string) {
  const process = await step();
  const path = `${prefix}${process.machine.random.uuid().slice(0, 6)}`;
  makeDirectory(process, path);
  return path;
}

export async function rm(path: string, options?: RemoveOptions) {
  removeAt(await step(), path, options);
}

export async function rmdir(path: string) {
  (await step()).machine.disk.remove(path, "rmdir");
}

export async function unlink(path: string) {
  (await step()).machine.disk.remove(path, "unlink");
}

export async function rename(oldPath: string, newPath: string) {
  (await step()).machine.disk.rename(oldPath, newPath, true);
}

export async function chmod(path: string, mode: number) {
  inodeOf(await step(), path, "chmod").mode = mode;
}

export async function statfs(_path: string) {
  return roomOf(await step());
}
