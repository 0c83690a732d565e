/**
 * The promises of DESIGN §4, looked at from outside: at the machines and the controller's store, never through what a
 * daemon says of itself.
 *
 *   always   at most one QEMU of a server runs; at most one host could start it; what a fence set aside is not changed
 *            and not removed before its migration is being confirmed
 *   at rest  no request has begun two migrations; each has ended or says why it is stuck; bookings and claims are exact;
 *            every server is on one host, runs if it is to run, on a disk that ends where its last guest left it; nothing
 *            else is left anywhere
 */

import { type Fleet, fillerDisk } from "./fleet.js";
import type { Inode } from "./world/disk.js";
import { read } from "./world/guest.js";
import { hookRefusal } from "./world/hook-rule.js";
import { type Defined, diskPaths } from "./world/libvirt.js";
import type { Machine } from "./world/machine.js";
import type { World } from "./world/world.js";

const STORE = "/var/lib/ferry-controller/controller.db";
const JOURNAL = "/var/lib/ferry/journal.db";
const IMAGES = "/var/lib/libvirt/images";

/** Fenced by this migration, with what it held then. */
interface Original {
  readonly inode: Inode;
  readonly content: Buffer;
  readonly path: string;
}

export class Invariants {
  readonly #fleet: Fleet;
  readonly #world: World;
  /** By path aside and host. */
  readonly #originals = new Map<string, Original>();
  readonly #leftDevices = new Map<Inode, Buffer>();
  /** Servers whose files or definitions a person has taken away: what is lost is lost by that person. */
  readonly vandalised = new Set<string>();
  #isDirty = true;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#world = fleet.world;
    for (const host of fleet.hosts) this.#watch(host);
    this.#world.time.afterEvent = () => this.#always();
  }

  /** Something may have become startable, or stopped being so. */
  touch(): void {
    this.#isDirty = true;
  }

  #watch(host: Machine): void {
    host.libvirt.listeners.add(() => this.touch());
    host.disk.onMove = (inode, from, to) => {
      this.touch();
      const key = `${host.name}:${from}`;
      if (to?.includes(".fenced-") === true) {
        this.#originals.set(`${host.name}:${to}`, { inode, content: inode.data, path: to });
        return;
      }
      const original = this.#originals.get(key);
      if (original === undefined) return;
      this.#originals.delete(key);
      this.#requireUnchanged(host, original);
      if (to === undefined) this.#requireConfirmed(host, from);
    };
  }

  #always(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    for (const server of this.#fleet.servers) {
      const running = this.#fleet.hosts.filter(host => host.libvirt.qemus.has(server));
      if (running.length > 1) this.#world.breach(`${server} has a QEMU on ${names(running)}`);
      const able = this.#fleet.hosts.filter(host => couldRun(host, server));
      if (able.length > 1) this.#world.breach(`${server} could run on ${names(able)}`);
    }
    for (const host of this.#fleet.hosts) this.#requireUnwritten(host);
    for (const [key, original] of this.#originals)
      this.#requireUnchanged(this.#fleet.host(key.slice(0, key.indexOf(":"))), original);
  }

  /** While its server is not defined on its host, it has been fenced, or left behind for good. */
  #requireUnwritten(host: Machine): void {
    for (const device of host.devices) {
      const path = `/dev/loop${device.minor}`;
      // Also by a guest that runs on when a person has undefined its domain.
      const { defined, qemus } = host.libvirt;
      const users = [...defined.values(), ...qemus.values()];
      const isInUse = users.some(({ xml }) => diskPaths(xml).includes(path));
      const content = this.#leftDevices.get(device);
      if (isInUse) this.#leftDevices.delete(device);
      else if (content === undefined) this.#leftDevices.set(device, Buffer.from(device.data));
      else if (!device.data.equals(content))
        this.#world.breach(`${path} on ${host.name} was changed while it was fenced`);
    }
  }

  #requireUnchanged(host: Machine, { inode, content, path }: Original): void {
    if (inode.data === content || inode.data.equals(content)) return;
    this.#world.breach(`${path} on ${host.name} was changed while it was set aside`);
  }

  #requireConfirmed(host: Machine, path: string): void {
    if (!this.#isPersonsDoing(path)) {
      const id = path.slice(path.lastIndexOf(".fenced-") + ".fenced-".length).replace(/\.removing.*$/, "");
      const migration = this.migrations().find(candidate => candidate.id === id);
      if (migration?.status === "confirming" || migration?.status === "confirmed") return;
      this.#world.breach(`${path} on ${host.name} was removed while migration ${id} is ${migration?.status}`);
    }
  }

  #isPersonsDoing(path: string): boolean {
    return this.personRemoves === path;
  }

  /** Set while a person removes a file by hand. */
  personRemoves = "";

  migrations(): MigrationRow[] {
    return this.#rows<MigrationRow>(
      "SELECT id, server_id AS server, status, open, stuck, step, direction, fault, source_host, target_host FROM migration ORDER BY created_at_ms",
    );
  }

  servers(): ServerRow[] {
    return this.#rows<ServerRow>(
      "SELECT id, name, host, vm_state, task_state, power_state, migration_id, pending FROM server",
    );
  }

  #rows<Row>(sql: string): Row[] {
    return this.#fleet.controller.database(STORE).database.prepare<[], Row>(sql).all();
  }

  /** When everything has healed and nothing is under way any more. */
  atRest(): void {
    const migrations = this.migrations();
    const asked = this.#fleet.operator.moves.size;
    if (migrations.length > asked)
      this.#world.breach(`${migrations.length} migrations were begun by ${asked} requests`);
    for (const { id, status, stuck, fault, open, step } of migrations) {
      if (open === 1 && stuck === 0)
        this.#world.breach(`migration ${id} neither ends nor is stuck: ${status} at ${step}`);
      if (stuck === 1 && fault === null)
        this.#world.breach(`migration ${id} is stuck at ${step} and does not say why`);
    }
    for (const server of this.servers()) {
      const isFree = server.migration_id === "" && server.task_state === "";
      if (isFree && !this.vandalised.has(server.id)) this.#requireHome(server);
    }
    this.#requireExactBookings();
    for (const host of this.#fleet.hosts) this.#requireTidy(host);
  }

  #requireHome(server: ServerRow): void {
    const home = this.#fleet.host(server.host);
    const problem = (text: string) => this.#world.breach(`${server.name} on ${server.host}: ${text}`);
    const domain = home.libvirt.defined.get(server.id);
    if (domain === undefined) {
      problem("it is not defined there");
      return;
    }
    if (!couldRun(home, server.id)) problem("it could not be started there");
    const isRunning = home.libvirt.qemus.get(server.id)?.state === "running";
    if (server.vm_state === "active" && !isRunning) problem("it is called active and does not run");
    if (server.vm_state === "stopped" && isRunning) problem("it is called stopped and runs");
    const [path = ""] = diskPaths(domain.xml);
    const inode = home.disk.find(path);
    if (inode === undefined) {
      problem(`${path} is not there`);
      return;
    }
    const { log } = read({ inode });
    const { guests } = this.#world;
    const truth = guests.logOf(server.id);
    if (!guests.mayEnd(server.id, log))
      problem(`its disk ends with ${log.slice(-60)}, its last guest with ${truth.slice(-60)}`);
    for (const other of this.#fleet.hosts) {
      if (other !== home && other.libvirt.defined.has(server.id))
        problem(`it is also defined on ${other.name}`);
    }
  }

  #requireExactBookings(): void {
    const allocations = this.#rows<{ consumer: string; kind: string; host: string }>(
      "SELECT DISTINCT consumer, consumer_kind AS kind, host FROM allocation ORDER BY consumer, host",
    );
    const open = this.migrations().filter(migration => migration.open === 1);
    const expected = this.servers().map(({ id, host }) => `server ${id} on ${host}`);
    const have = allocations.filter(({ consumer }) => !isOfOpen(consumer, open));
    const said = have.map(({ kind, consumer, host }) => `${kind} ${consumer} on ${host}`);
    const free = expected.filter(line => !open.some(({ server }) => line.startsWith(`server ${server} `)));
    const [surplus, missing] = [
      said.filter(line => !free.includes(line)),
      free.filter(line => !said.includes(line)),
    ];
    if (surplus.length > 0) this.#world.breach(`booked and not needed: ${surplus.join(", ")}`);
    if (missing.length > 0) this.#world.breach(`needed and not booked: ${missing.join(", ")}`);
  }

  /** Nothing of a migration that has come to its end is left on a host. */
  #requireTidy(host: Machine): void {
    // One that is stuck says which step is to be repeated, also when only its cleaning up is left.
    const open = this.migrations().filter(migration => migration.open === 1 || migration.stuck === 1);
    const ofOpen = (text: string) =>
      open.some(({ id, server }) => text.includes(id) || text.includes(server));
    const { database } = host.database(JOURNAL);
    const claims = database
      .prepare<[], { migration: string }>("SELECT migration FROM document WHERE kind = 'claim'")
      .all();
    for (const { migration } of claims)
      if (!ofOpen(migration)) this.#world.breach(`${host.name} still has a claim of migration ${migration}`);
    const homes = this.servers().filter(
      server => server.host === host.name || open.some(({ server: id }) => id === server.id),
    );
    for (const [path] of host.disk.walk(IMAGES)) {
      if (ofOpen(path) || this.#ofVandalised(path) || path === fillerDisk(host)) continue;
      const isDisk = homes.some(({ name }) =>
        [`${IMAGES}/${name}/disk`, `${IMAGES}/${name}.img`, `${IMAGES}/${name}/disk.vda`].includes(path),
      );
      if (!isDisk) this.#world.breach(`${host.name} still has ${path}`);
    }
    for (const name of host.libvirt.defined.values())
      if (!this.#fleet.servers.includes(name.uuid))
        this.#world.breach(`${host.name} still has the domain ${name.name}`);
  }

  #ofVandalised(path: string): boolean {
    return this.servers().some(
      ({ id, name }) =>
        this.vandalised.has(id) && ["/", "."].some(next => path.startsWith(`${IMAGES}/${name}${next}`)),
    );
  }
}

interface MigrationRow {
  readonly id: string;
  readonly server: string;
  readonly status: string;
  readonly open: number;
  readonly stuck: number;
  readonly step: string;
  readonly direction: string;
  readonly fault: string | null;
  readonly source_host: string;
  readonly target_host: string;
}

interface ServerRow {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly vm_state: string;
  readonly task_state: string;
  readonly power_state: string;
  readonly migration_id: string;
  readonly pending: string | null;
}

const names = (machines: readonly Machine[]): string => machines.map(({ name }) => name).join(" and ");

const isOfOpen = (consumer: string, open: readonly MigrationRow[]): boolean =>
  open.some(({ id, server }) => consumer === id || consumer === server);

/** Runs, or would if somebody started it now: defined, let through by the hook, its disk in place. */
function couldRun(host: Machine, server: string): boolean {
  if (host.libvirt.qemus.has(server)) return true;
  const domain = host.libvirt.defined.get(server);
  return (
    domain !== undefined &&
    isLetThrough(host, domain) &&
    diskPaths(domain.xml).every(path => host.disk.find(path) !== undefined)
  );
}

/** Asked with an operation that leaves no mark. */
function isLetThrough(host: Machine, { name, xml }: Defined): boolean {
  const place = { disk: host.disk, stateDir: "/var/lib/ferry", runDir: "/run/ferry", nowMs: 0 };
  return hookRefusal(place, "restore", name, xml) === undefined;
}
