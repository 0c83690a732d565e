/** Stands for `node:fs`: the calls with callbacks and the synchronous ones that the daemons make. */

import { constants } from "node:fs";
import { promisify } from "node:util";
import { errno } from "../world/errno.js";
import { type Process, step, stepNow } from "../world/process.js";
import {
  contentOf,
  fileOf,
  flagsOf,
  inodeOf,
  makeDirectory,
  openAt,
  type RemoveOptions,
  removeAt,
  roomOf,
  statsOf,
} from "./file-calls.js";

export { constants };

type Callback = (error: unknown, ...results: unknown[]) => void;

/** As Node offers it: with a callback at the end, and as a promise by way of `promisify`. */
function callable<Args extends unknown[], Result>(body: (process: Process, ...args: Args) => Result) {
  const promised = async (...args: Args): Promise<Result> => body(await step(), ...args);
  const withCallback = (...args: unknown[]): void => {
    const callback = args.pop() as Callback;
    void answer(promised(...(args as Args)), callback);
  };
  return Object.assign(withCallback, { [promisify.custom]: promised });
}

async function answer(result: Promise<unknown>, callback: Callback): Promise<void> {
  const words = await result.then(
    value => [null, value],
    (error: unknown) => [error],
  );
  callback(...(words as Parameters<Callback>));
}

export const open = callable((process, path: string, flags?: string | number, mode?: number) =>
  process.describe(openAt(process, path, flagsOf(flags), mode)),
);

function closeNow(process: Process, fd: number): void {
  fileOf(process, fd).close();
  process.descriptors.delete(fd);
}

export const close = callable(closeNow);
export const fstat = callable((process, fd: number) => statsOf(inodeOf(process, fd, "fstat")));
export const fsync = callable((process, fd: number) => fileOf(process, fd).flush());
export const fdatasync = callable((process, fd: number) => fileOf(process, fd).flushData());
export const ftruncate = callable((process, fd: number, sizeBytes: number) =>
  fileOf(process, fd).truncate(sizeBytes),
);

export const fchmod = callable((process, fd: number, mode: number) => {
  inodeOf(process, fd, "fchmod").mode = mode;
});

export const fchown = callable((process, fd: number, uid: number, gid: number) => {
  Object.assign(inodeOf(process, fd, "fchown"), { uid, gid });
});

export const unlink = callable((process, path: string) => process.machine.disk.remove(path, "unlink"));

export const read = callable(
  (process, fd: number, buffer: Buffer, offset: number, length: number, position: number) => {
    const bytes = fileOf(process, fd).read(length, position);
    bytes.copy(buffer, offset);
    return { bytesRead: bytes.length, buffer };
  },
);

export const readv = callable((process, fd: number, buffers: readonly Buffer[], position: number) => {
  let done = 0;
  for (const buffer of buffers) {
    const bytes = fileOf(process, fd).read(buffer.length, position + done);
    bytes.copy(buffer);
    done += bytes.length;
  }
  return { bytesRead: done, buffers };
});

export const write = callable(
  (process, fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => {
    fileOf(process, fd).write(buffer.subarray(offset, offset + length), position);
    return { bytesWritten: length, buffer };
  },
);

export const openSync = (path: string, flags?: string | number, mode?: number): number => {
  const process = stepNow();
  return process.describe(openAt(process, path, flagsOf(flags), mode));
};

export const closeSync = (fd: number): void => closeNow(stepNow(), fd);
export const fsyncSync = (fd: number): void => fileOf(stepNow(), fd).flush();

export const writeSync = (fd: number, bytes: Uint8Array): number => {
  const file = fileOf(stepNow(), fd);
  file.write(bytes, file.position);
  file.position += bytes.length;
  return bytes.length;
};

export const existsSync = (path: string): boolean => stepNow().machine.disk.find(path) !== undefined;
export const rmSync = (path: string, options?: RemoveOptions): void => removeAt(stepNow(), path, options);
export const statfsSync = (_path: string) => roomOf(stepNow());

export const mkdirSync = (
  path: string,
  options?: { recursive?: boolean; mode?: number },
): string | undefined => makeDirectory(stepNow(), path, options);

export const readFileSync = (path: string, encoding?: BufferEncoding): Buffer | string => {
  const bytes = contentOf(inodeOf(stepNow(), path, "open"));
  return encoding === undefined ? bytes : bytes.toString(encoding);
};

export const statSync = (path: string, options: { throwIfNoEntry?: boolean } = {}) => {
  const inode = stepNow().machine.disk.find(path);
  if (inode === undefined && options.throwIfNoEntry === false) return undefined;
  if (inode === undefined) throw errno("ENOENT", "stat", path);
  return statsOf(inode);
};
