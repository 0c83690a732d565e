/**
 * Room on the file system below a path.
 *
 * A dead network file system answers nobody, and each question to it holds one of the process's few I/O threads
 * for ever. So there is at most one open question for each path, which later askers share, and each asker waits
 * for a limited time.
 */

import { realpath, statfs } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import type { FileSystemSpace } from "../../proto/gen/ferry/v1/host.js";
import { type Mount, mountOf } from "./mounts.js";
import { type Report, systemErrorCode } from "./tree.js";

interface Room {
  readonly realPath: string;
  readonly capacityBytes: number;
  readonly freeBytes: number;
}

export type MeasureRoom = (path: string) => Promise<Room>;

export class SpaceProbe {
  readonly #limitMs: number;
  readonly #measure: MeasureRoom;
  readonly #open = new Map<string, Promise<Room>>();

  constructor(limitMs = 3_000, measure: MeasureRoom = measureRoom) {
    this.#limitMs = limitMs;
    this.#measure = measure;
  }

  /** Undefined and a problem when the file system refuses or is silent. */
  async space(path: string, mounts: readonly Mount[], report: Report): Promise<FileSystemSpace | undefined> {
    const room = await this.#ask(path, report);
    if (!room) return undefined;
    const mount = mountOf(room.realPath, mounts);
    return {
      capacityBytes: room.capacityBytes,
      freeBytes: room.freeBytes,
      fileSystem: mount?.fileSystem,
      device: mount?.device,
    };
  }

  async #ask(path: string, report: Report): Promise<Room | undefined> {
    const timer = new AbortController();
    const late = wait(this.#limitMs, undefined, { signal: timer.signal, ref: false });
    try {
      const room = await Promise.race([this.#question(path), late]);
      if (!room) report(`${path}: the file system did not answer within ${this.#limitMs} ms`);
      return room;
    } catch (error) {
      report(`${path}: ${systemErrorCode(error)}`);
      return undefined;
    } finally {
      timer.abort();
    }
  }

  #question(path: string): Promise<Room> {
    const open = this.#open.get(path);
    if (open) return open;
    const question = this.#measure(path).finally(() => this.#open.delete(path));
    this.#open.set(path, question);
    return question;
  }
}

async function measureRoom(path: string): Promise<Room> {
  const [realPath, { blocks, bavail, bsize }] = await Promise.all([realpath(path), statfs(path)]);
  return { realPath, capacityBytes: blocks * bsize, freeBytes: bavail * bsize };
}
