/**
 * The QEMU processes of this machine, whichever host of whichever lab they belong to: libvirt may have forgotten one, /proc
 * has not. Made to be looked through ten times a second: a process that was told apart once is not read again.
 */

import { readdirSync, readFileSync } from "node:fs";

/** A daemon that makes a QEMU is the same process, under its old name, until it becomes one. */
const SETTLED_MS = 60_000;

interface Known {
  /** Of its guest; empty for everything that is not a QEMU. */
  readonly uuid: string;
  readonly firstSeenMs: number;
}

export class QemuWatch {
  #known = new Map<number, Known>();

  /** Process ids by uuid of their guest. */
  look(): ReadonlyMap<string, readonly number[]> {
    const nowMs = Date.now();
    const found = new Map<string, number[]>();
    const known = new Map<number, Known>();
    for (const name of readdirSync("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      const process = this.#told(pid, nowMs);
      known.set(pid, process);
      if (process.uuid !== "") found.set(process.uuid, [...(found.get(process.uuid) ?? []), pid]);
    }
    // What is gone is forgotten: its number may be used again.
    this.#known = known;
    return found;
  }

  #told(pid: number, nowMs: number): Known {
    const before = this.#known.get(pid);
    const isSettled = before !== undefined && nowMs - before.firstSeenMs > SETTLED_MS;
    // A QEMU that ends has no command line any more, and is none from then on.
    if (isSettled && before.uuid === "") return before;
    return { uuid: guestOf(pid), firstSeenMs: before?.firstSeenMs ?? nowMs };
  }
}

function guestOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const at = words.indexOf("-uuid");
    return at < 0 ? "" : (words[at + 1] ?? "");
  } catch {
    return "";
  }
}
