/**
 * The guests: what runs inside a server, and how it can tell that its disk is the right one.
 *
 * A disk begins with data that must never change, and has a log behind it: each boot and each shutdown is a line. A guest
 * that boots reads both. Data that differs is corruption; a log that is not the one that the server's last guest left
 * is an old copy of the disk that runs. Both are breaches, unless a person chose to discard what was written since.
 */

import { createHash } from "node:crypto";
import type { OpenFile } from "./disk.js";
import { diskPaths, incarnationIn, type Libvirt, type Qemu } from "./libvirt.js";
import type { World } from "./world.js";

export const DATA_BYTES = 48 * 1024;
export const LOG_BYTES = 4096;

interface Truth {
  readonly dataDigest: string;
  /** As the last guest left it. */
  log: string;
  /** The migration by whose revert a person has let go of what was written last: an earlier state may come back, once. */
  mayGoBack: string;
}

export class Guest {
  readonly #host: Libvirt;
  readonly #qemu: Qemu;
  readonly #guests: Guests;
  #isOver = false;
  /** How long it takes to shut down; never, for a deaf one. */
  readonly #shutdownMs: number;
  #isStopping = false;

  constructor(guests: Guests, host: Libvirt, qemu: Qemu, shutdownMs: number) {
    this.#guests = guests;
    this.#host = host;
    this.#qemu = qemu;
    this.#shutdownMs = shutdownMs;
  }

  onPowerButton(): void {
    if (this.#isOver || this.#isStopping || this.#qemu.state !== "running") return;
    if (!Number.isFinite(this.#shutdownMs)) return;
    this.#isStopping = true;
    this.#host.machine.world.time.after(this.#shutdownMs, undefined, () => {
      if (this.#isOver) return;
      this.#guests.note(this.#host, this.#qemu, "off");
      this.#host.end(this.#qemu);
    });
  }

  end(): void {
    this.#isOver = true;
  }
}

export class Guests {
  readonly #world: World;
  readonly #truths = new Map<string, Truth>();
  /** Of each guest: that it ignores its power button. */
  deafChance = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** What a new server's disk holds. */
  format(server: string, content: Buffer): void {
    const dataDigest = digestOf(content.subarray(0, DATA_BYTES));
    this.#truths.set(server, { dataDigest, log: "", mayGoBack: "" });
  }

  logOf(server: string): string {
    return this.#truths.get(server)?.log ?? "";
  }

  /** May a disk end like this? As its last guest left it, or earlier if a person has let go of what came after. */
  mayEnd(server: string, log: string): boolean {
    const truth = this.#truths.get(server);
    return truth === undefined || log === truth.log || (truth.mayGoBack !== "" && truth.log.startsWith(log));
  }

  /** A person lets go of what the present guest has written. */
  letGo(server: string, migration: string): void {
    const truth = this.#truths.get(server);
    if (truth !== undefined) truth.mayGoBack = migration;
  }

  /** A person keeps what the present guest has written: by an earlier revert it may have gone back, and not run since. */
  keep(server: string, migration: string): void {
    const truth = this.#truths.get(server);
    if (truth === undefined) return;
    const isOfAnother = truth.mayGoBack !== "" && truth.mayGoBack !== migration;
    const log = isOfAnother ? this.#logOnDisk(server) : undefined;
    if (log !== undefined && this.mayEnd(server, log)) truth.log = log;
    truth.mayGoBack = "";
  }

  #logOnDisk(server: string): string | undefined {
    for (const { libvirt, disk } of this.#world.machines.values()) {
      const [path] = diskPaths(libvirt.defined.get(server)?.xml ?? "");
      const inode = path === undefined ? undefined : disk.find(path);
      if (inode !== undefined) return read({ inode }).log;
    }
    return undefined;
  }

  run(host: Libvirt, qemu: Qemu): Guest | undefined {
    const truth = this.#truths.get(qemu.uuid);
    const shutdownMs = this.#world.random.chance(this.deafChance)
      ? Number.POSITIVE_INFINITY
      : this.#world.random.between(500, 4_000);
    if (truth !== undefined) this.#boot(truth, host, qemu);
    return new Guest(this, host, qemu, shutdownMs);
  }

  #boot(truth: Truth, host: Libvirt, qemu: Qemu): void {
    const [disk] = qemu.disks;
    if (disk === undefined) {
      this.#world.breach(`${qemu.name} runs on ${host.machine.name} without a disk`);
      return;
    }
    const { digest, log } = read(disk);
    if (digest !== truth.dataDigest)
      this.#world.breach(`${qemu.name} boots on ${host.machine.name} from a disk whose data is not its own`);
    if (!this.mayEnd(qemu.uuid, log)) {
      const lost = `it ends with ${JSON.stringify(log.slice(-120))}, not ${JSON.stringify(truth.log.slice(-120))}`;
      this.#world.breach(`${qemu.name} boots on ${host.machine.name} from an old copy of its disk: ${lost}`);
    }
    if (log !== truth.log) truth.mayGoBack = "";
    truth.log = log;
    this.note(host, qemu, `on ${incarnationIn(qemu.xml).split("/").slice(1).join("/")}`);
  }

  /** Written through: a guest that is killed loses nothing that counts here. */
  note({ machine }: Libvirt, qemu: Qemu, what: string): void {
    const [disk] = qemu.disks;
    const truth = this.#truths.get(qemu.uuid);
    if (disk === undefined || truth === undefined) return;
    const log = `${truth.log}${what}@${machine.name};`.slice(-LOG_BYTES + 1);
    const line = Buffer.alloc(LOG_BYTES);
    line.write(log);
    try {
      disk.write(line, DATA_BYTES);
      disk.flush();
      truth.log = log;
    } catch {
      // A full or failing disk: the guest goes on in its memory, and nothing was promised.
    }
  }
}

export function read(disk: Pick<OpenFile, "inode">): { digest: string; log: string } {
  const bytes = Buffer.alloc(DATA_BYTES + LOG_BYTES);
  // As a guest reads: past the host's page cache.
  disk.inode.onMedium.copy(bytes, 0, 0, bytes.length);
  const end = bytes.indexOf(0, DATA_BYTES);
  return {
    digest: digestOf(bytes.subarray(0, DATA_BYTES)),
    log: bytes.toString("utf8", DATA_BYTES, end === -1 ? bytes.length : end),
  };
}

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
