/**
 * The server that is moved through all cells: a small guest that boots fast and proves its own data at every boot. It
 * knows where it is at home and how often its guest has booted.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Migration, Server } from "../../proto/gen/ferry/v1/model.js";
import type { Host, Lab } from "../lab/lab.js";
import { PATIENCE_MS, waitFor } from "../lab/lab.js";
import { ferryJson, LabServer } from "../lab/lab-server.js";

const LOG = "/var/log/ferry/controller.log";

export class Traveller {
  readonly lab: Lab;
  readonly server: LabServer;
  /** Boots that the guest has counted on its disk so far. */
  boots = 1;

  private constructor(lab: Lab, server: LabServer) {
    this.lab = lab;
    this.server = server;
  }

  static async adopt(lab: Lab, name: string): Promise<Traveller> {
    const knobs = ["lab.blobmb=8"];
    const server = await LabServer.adopt(lab, "h1", { name, knobs, memoryMib: 128 });
    // The files of a guest that was made just now are nobody's to lose.
    await lab.output("h1", ["sync"]);
    return new Traveller(lab, server);
  }

  async show(): Promise<Server> {
    return ferryJson<Server>(this.lab, "server", "show", this.server.name);
  }

  async home(): Promise<Host> {
    return (await this.show()).host as Host;
  }

  /** The controller's log so far; what comes later is `linesSince`. */
  async mark(): Promise<number> {
    return (await readFile(this.lab.path("ctl", LOG))).length;
  }

  async linesSince(mark: number): Promise<readonly Line[]> {
    const text = (await readFile(this.lab.path("ctl", LOG))).subarray(mark).toString();
    return text
      .split("\n")
      .slice(0, -1)
      .filter(line => line.startsWith("{") && line.includes('"migration"'))
      .map(line => JSON.parse(line) as Line);
  }

  /** Waits until the migration that began after `mark` rests or has ended. */
  async rested(mark: number): Promise<Migration> {
    const isOver = async () =>
      (await this.linesSince(mark)).some(({ msg }) => msg === "waiting" || msg === "ended");
    await waitFor(isOver, { deadlineMs: PATIENCE_MS, what: "the migration rests" });
    return this.newest();
  }

  async ended(mark: number): Promise<Migration> {
    const isOver = async () => (await this.linesSince(mark)).some(({ msg }) => msg === "ended");
    await waitFor(isOver, { deadlineMs: PATIENCE_MS, what: "the migration ends" });
    return this.newest();
  }

  /** Also while the controller has not quite come back. */
  async newest(): Promise<Migration> {
    const list = () => ferryJson<Migration[]>(this.lab, "migration", "list", "--server", this.server.name);
    const [newest] = await waitFor(() => list().catch(() => undefined), {
      deadlineMs: PATIENCE_MS,
      what: "the controller answers",
    });
    assert(newest !== undefined, "there is a migration");
    return newest;
  }

  /**
   * The guest runs on `host` and says of its last boot that all that it ever wrote is there. One that was stopped meanwhile
   * has another process, and must have booted once more.
   */
  async expectProof(host: Host, before: readonly number[]): Promise<void> {
    const pid = await this.server.processOn(host);
    const least = before.includes(pid) ? this.boots : this.boots + 1;
    const { text, root, ephemeral, boots } = await waitFor(() => this.#proof(host, least), {
      deadlineMs: PATIENCE_MS,
      what: `${this.server.name} on ${host} has booted ${least} times, as its disk remembers`,
    });
    assert.deepEqual([root, ephemeral], boots === 1 ? ["NEW", "NEW"] : ["OK", "OK"], text);
    this.boots = boots;
    await this.server.imageIntact(host);
  }

  /** What the console says of the last boot, once that is over and not one of before. */
  async #proof(host: Host, least: number) {
    const console = await this.lab.console(host, this.server.name);
    const text = console.slice(Math.max(0, console.lastIndexOf(" UP kernel")));
    const [, root, count] = /MARKER-(\w+) \w+ boots=(\d+)/.exec(text) ?? [];
    const [, ephemeral] = /EPH-(\w+) /.exec(text) ?? [];
    const boots = Number(count ?? 0);
    return boots >= least && / READY/.test(text) ? { text, root, ephemeral, boots } : undefined;
  }
}

export interface Line {
  readonly msg: string;
  readonly migration: string;
  readonly step?: string;
  readonly fault?: string;
}
