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
    return new Traveller(
      lab,
      await LabServer.adopt(lab, "h1", { name, knobs, memoryMib: 128, bootsKernel: true }),
    );
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

  /** The guest runs on `host` and says of its last boot that all that it ever wrote is there. */
  async expectProof(host: Host): Promise<void> {
    await this.server.processOn(host);
    const said = await waitFor(
      async () => /READY/.exec(lastBoot(await this.lab.console(host, this.server.name)))?.input,
      {
        deadlineMs: PATIENCE_MS,
        what: `${this.server.name} is ready on ${host}`,
      },
    );
    const [, root, boots = "0"] = /MARKER-(\w+) \w+ boots=(\d+)/.exec(said) ?? [];
    const [, ephemeral] = /EPH-(\w+) /.exec(said) ?? [];
    const isFirst = boots === "1";
    assert.deepEqual([root, ephemeral], isFirst ? ["NEW", "NEW"] : ["OK", "OK"], said);
    assert(Number(boots) >= this.boots, `its disk remembers ${boots} boots, there were ${this.boots}`);
    this.boots = Number(boots);
    await this.server.imageIntact(host);
  }
}

export interface Line {
  readonly msg: string;
  readonly migration: string;
  readonly step?: string;
  readonly fault?: string;
}

const lastBoot = (console: string): string => console.slice(Math.max(0, console.lastIndexOf(" UP kernel")));
