/**
 * A server of a lab as an operator and an inspector see it: told by the ferry command, watched in the controller's
 * events, and checked from outside Ferry with virsh, /proc, qemu-img and the guest's own console.
 */

import assert from "node:assert/strict";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { defineGuest, type GuestOptions, startGuest } from "./guest.js";
import { type Finished, type Host, type Lab, PATIENCE_MS, waitFor } from "./lab.js";
import { eventsOf, restOf } from "./migration-events.js";
import { QemuWatch } from "./qemu-watch.js";

export interface ServerOptions extends GuestOptions {
  readonly maxDowntimeSeconds?: number;
  /** It is defined but not started. */
  readonly isOff?: boolean;
}

export class LabServer {
  readonly lab: Lab;
  readonly name: string;
  readonly uuid: string;

  private constructor(lab: Lab, name: string, uuid: string) {
    this.lab = lab;
    this.name = name;
    this.uuid = uuid;
  }

  /**
   * A guest with root, ephemeral and swap disk, taken over by Ferry. QEMU loads its kernel, which takes a quarter less; whether
   * its disk boots by itself wherever it goes, the tests of moving and resizing see.
   */
  static async adopt(lab: Lab, host: Host, options: ServerOptions): Promise<LabServer> {
    const { name, maxDowntimeSeconds = 0, isOff = false } = options;
    const guest = { bootsKernel: true, ...options };
    if (isOff) await defineGuest(lab, host, guest);
    else await inTurn(() => startGuest(lab, host, guest));
    const roles = ["--swap-disk", "vdc", "--ephemeral-disk", "vdb", "--read-only-drives", "carry"];
    const limits = ["--max-downtime", String(maxDowntimeSeconds)];
    await ferry(lab, "server", "adopt", name, "--host", host, ...roles, ...limits);
    return new LabServer(
      lab,
      name,
      await lab.output(host, ["virsh", "domuuid", name]).then(text => text.trim()),
    );
  }

  /** The id of a migration that has begun. */
  async migrate(target: Host, ...options: readonly string[]): Promise<string> {
    const words = ["--host", target, "--read-only-drives", "carry", ...options];
    const { id } = await ferryJson<Migration>(this.lab, "server", "migrate", this.name, ...words);
    return id;
  }

  async start(): Promise<void> {
    await ferry(this.lab, "server", "start", this.name);
  }

  async confirm(): Promise<void> {
    await ferry(this.lab, "server", "confirm", this.name, "--wait");
  }

  async revert(): Promise<void> {
    await ferry(this.lab, "server", "revert", this.name, "--yes", "--wait");
  }

  migration(id: string): Promise<Migration> {
    return ferryJson<Migration>(this.lab, "migration", "show", id);
  }

  /** The migration once it awaits a verdict or has ended; throws with its events when it does neither. */
  async rested(id: string, deadlineMs = PATIENCE_MS): Promise<Migration> {
    const isOver = restOf(this.lab, id);
    await waitFor(isOver, { deadlineMs, what: `migration ${id} rests` }).catch(async error => {
      throw new Error(`${error}\n${(await eventsOf(this.lab, "ctl", id)).join("\n")}`);
    });
    // The controller may just have been killed.
    const told = async () => {
      const { code, stdout } = await this.lab.ferry("-o", "json", "migration", "show", id);
      return code === 0 && (JSON.parse(stdout) as Migration);
    };
    return waitFor(told, { deadlineMs: PATIENCE_MS, what: "the controller answers" });
  }

  /** Its QEMU processes anywhere in the lab: libvirt may have forgotten one, /proc has not. */
  async processes(): Promise<readonly number[]> {
    return new QemuWatch().look().get(this.uuid) ?? [];
  }

  /** The one process that it must have, which must be on `host`. */
  async processOn(host: Host): Promise<number> {
    const found = await this.processes();
    assert.equal(found.length, 1, `${this.name} has ${found.length} QEMU processes`);
    const [pid = 0] = found;
    assert.equal((await this.lab.output(host, ["virsh", "domstate", this.name])).trim(), "running");
    return pid;
  }

  /** Says what a guest that has just booted finds on its disks, and throws unless all of it is as an earlier boot left it. */
  async dataIntact(host: Host, boots: number): Promise<void> {
    for (const word of ["MARKER", "EPH"]) {
      const proof = new RegExp(`${word}-(NEW|OK|BAD) \\w+ boots=${boots}\\b`);
      const [, verdict] = await this.lab.waitForConsole(host, this.name, proof, PATIENCE_MS);
      assert.equal(verdict, boots === 1 ? "NEW" : "OK", `${this.name} on ${host}: ${word}-${verdict}`);
    }
    await this.lab.waitForConsole(host, this.name, new RegExp(`boots=${boots}\\b[^]* READY`), PATIENCE_MS);
  }

  /** The root image and what lies below it are consistent. */
  async imageIntact(host: Host): Promise<void> {
    const disks = await this.lab.output(host, ["virsh", "-q", "domblklist", this.name]);
    for (const path of disks.match(/\/\S+\.qcow2/g) ?? []) {
      await this.lab.output(host, ["qemu-img", "check", "-q", "-U", "-f", "qcow2", path]);
    }
  }
}

/** Emulated guests that boot at the same time on few cores are ready late, all of them. */
let lastBoot: Promise<unknown> = Promise.resolve();
const inTurn = (boot: () => Promise<void>): Promise<void> => {
  const booted = lastBoot.then(boot, boot);
  lastBoot = booted;
  return booted;
};

export async function ferry(lab: Lab, ...words: readonly string[]): Promise<string> {
  const finished: Finished = await lab.ferry(...words);
  assert.equal(finished.code, 0, `ferry ${words.join(" ")}: ${finished.stderr || finished.stdout}`);
  return finished.stdout;
}

export async function ferryJson<T>(lab: Lab, ...words: readonly string[]): Promise<T> {
  return JSON.parse(await ferry(lab, "-o", "json", ...words)) as T;
}
