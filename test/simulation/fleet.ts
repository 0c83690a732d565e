/**
 * A fleet in a simulated world: one controller, some hosts, an operator, and servers that have been adopted. Every daemon
 * is the real one, started from its own `main.ts` with a parsed configuration.
 */

import { agentConfigSchema } from "../../agent/config.js";
import { hookText } from "../../agent/fence/install-hook.js";
import { createAuthority, issueCertificate } from "../../cli/pki/authority.js";
import { controllerConfigSchema } from "../../controller/config.js";
import type { Identity } from "../../proto/identity.js";
import { installGlobals } from "./edges/globals.js";
import { Operator } from "./operator.js";
import { RESERVE } from "./world/disk.js";
import { DATA_BYTES, LOG_BYTES } from "./world/guest.js";
import type { Machine } from "./world/machine.js";
import { START_MS } from "./world/virtual-time.js";
import { World } from "./world/world.js";

installGlobals();
await import("../../agent/main.js");
await import("../../controller/main.js");

const STATE_DIR = "/var/lib/ferry";
const IMAGES = "/var/lib/libvirt/images";
const DISK_BYTES = 320 * 1024;
const TLS = { ca: "/etc/ferry/tls/ca.crt", cert: "/etc/ferry/tls/tls.crt", key: "/etc/ferry/tls/tls.key" };
const CONTROLLER_STORE = "/var/lib/ferry-controller/controller.db";

export interface FleetOptions {
  readonly hosts: number;
  readonly servers: number;
  /** Seconds; 0: never. */
  readonly confirmWindow: number;
  /** A resize may stay on its host. */
  readonly maySameHost?: boolean;
  /** Disks lie directly in the image folder, which stays whatever goes; otherwise each server has a folder in it. */
  readonly isFlat?: boolean;
  /** The disk of the first server is a block device of its host alone. */
  readonly hasDevice?: boolean;
}

interface Guest {
  readonly name: string;
  readonly memoryMib: number;
  /** Of its disk. */
  readonly path: string;
}

/** Of a server that fills a host. Ferry did not make it: it stays when the server is deleted. */
export const fillerDisk = ({ name }: Machine): string => `${IMAGES}/big-${name}.img`;

export class Fleet {
  readonly world: World;
  readonly hosts: Machine[] = [];
  readonly controller: Machine;
  readonly operator: Operator;
  /** Their uuids. */
  readonly servers: string[] = [];

  private constructor(world: World, controller: Machine, operator: Operator) {
    this.world = world;
    this.controller = controller;
    this.operator = operator;
  }

  /** Up and running, every server adopted on its host. */
  static async open(world: World, options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(world, world.add("ctl"), new Operator(world.add("ops")));
    await installTls(fleet.operator.machine, { kind: "user", name: "ada", role: "admin" });
    await installController(fleet.controller, options);
    for (let number = 1; number <= options.hosts; number += 1) {
      const host = world.add(`h${number}`);
      fleet.hosts.push(host);
      await installAgent(host);
    }
    for (let number = 0; number < options.servers; number += 1) fleet.#defineWeb(number, options);
    for (const machine of [fleet.controller, ...fleet.hosts]) {
      machine.flushTree();
      machine.startAll();
    }
    await fleet.#adoptAll();
    await fleet.operator.insist("create flavors", () => fleet.operator.createFlavors());
    return fleet;
  }

  /** Every host has been heard. */
  async allUp(): Promise<void> {
    const count = this.hosts.length;
    await this.operator.until(async () => {
      const hosts = await this.operator.hosts();
      return hosts.filter(({ state }) => state === "up").length === count;
    }, 60_000);
  }

  host(name: string): Machine {
    return this.world.machine(name);
  }

  /** Another server is there from now on, that does not run and takes all memory that nobody has booked. Its uuid. */
  async fill(host: Machine): Promise<string | undefined> {
    const { operator } = this;
    const found = (await operator.hosts()).find(({ name }) => name === host.name);
    const memory = found?.inventories.find(({ resourceClass }) => resourceClass === "MEMORY_MB");
    const memoryMib = memory === undefined ? 0 : memory.total - memory.reserved - memory.used;
    if (memoryMib <= 0) return undefined;
    const name = `big-${host.name}`;
    const uuid = this.#define(host, { name, memoryMib, path: fillerDisk(host) });
    for (const there of [fillerDisk(host), IMAGES]) host.disk.find(there)?.flush();
    await operator.repeat(`adopt ${name}`, 3, () => operator.adopt(host.name, uuid));
    return uuid;
  }

  #defineWeb(number: number, { isFlat = false, hasDevice = false }: FleetOptions): void {
    const host = this.hosts[number % this.hosts.length] as Machine;
    const name = `web-${number}`;
    const file = isFlat ? `${IMAGES}/${name}.img` : `${IMAGES}/${name}/disk`;
    const path = hasDevice && number === 0 ? "/dev/loop0" : file;
    const uuid = this.#define(host, { name, memoryMib: 512, path });
    host.libvirt.need("set autostart of", uuid).autostart = true;
    host.libvirt.start(uuid, false);
  }

  /** As libvirt would have it after somebody installed it there. */
  #define(host: Machine, { name, memoryMib, path }: Guest): string {
    const uuid = this.world.random.uuid();
    const content = Buffer.concat([this.world.random.bytes(DATA_BYTES), Buffer.alloc(LOG_BYTES)]);
    if (isDevice(path))
      host.addDevice(path, Buffer.concat([content, Buffer.alloc(DISK_BYTES - content.length)]));
    else {
      host.writeFile(path, content);
      host.disk.open(path, 2).truncate(DISK_BYTES);
      host.disk.need(path, "open").opens.clear();
    }
    this.world.guests.format(uuid, content);
    host.libvirt.define(domainXml(uuid, { name, memoryMib, path }));
    this.servers.push(uuid);
    return uuid;
  }

  async #adoptAll(): Promise<void> {
    for (const [number, uuid] of this.servers.entries()) {
      const host = this.hosts[number % this.hosts.length] as Machine;
      await this.operator.insist(`adopt ${uuid}`, () => this.operator.adopt(host.name, uuid));
    }
  }
}

export async function installTls(machine: Machine, identity: Omit<Identity, "domain">): Promise<void> {
  const { ca, cert, key } = await certificateOf(identity);
  machine.writeFile(TLS.ca, ca);
  machine.writeFile(TLS.cert, cert);
  machine.writeFile(TLS.key, key, 0o600);
}

async function installController(
  machine: Machine,
  { confirmWindow, maySameHost = false }: FleetOptions,
): Promise<void> {
  await installTls(machine, { kind: "controller", name: "ctl" });
  machine.disk.makeDirectories("/var/lib/ferry-controller", 0o750);
  const config = controllerConfigSchema.parse({
    name: "ctl",
    listen: "ctl:7400",
    store: `sqlite://${CONTROLLER_STORE}`,
    resize_confirm_window: confirmWindow,
    allow_resize_to_same_host: maySameHost,
    max_downtime_seconds: 600,
    shutdown_timeout: 10,
    tls: TLS,
  });
  machine.install("ferry-controller", config);
}

async function installAgent(machine: Machine): Promise<void> {
  await installTls(machine, { kind: "agent", name: machine.name });
  machine.provideFacts();
  machine.writeFile("/etc/machine-id", machine.random.bytes(16).toString("hex"));
  machine.writeFile("/usr/bin/qemu-system-x86_64", "", 0o755);
  machine.writeFile(
    "/etc/libvirt/hooks/qemu.d/50-ferry",
    await hookText({ stateDir: STATE_DIR, runDir: "/run/ferry" }),
    0o755,
  );
  machine.disk.makeDirectories(IMAGES, 0o711);
  machine.writeFile(`${STATE_DIR}/reserve`, "");
  machine.disk.take(RESERVE.length);
  Object.assign(machine.disk.need(`${STATE_DIR}/reserve`, "open"), {
    data: RESERVE,
    sizeBytes: RESERVE.length,
    isShared: true,
  });
  machine.libvirt.boot();
  const config = agentConfigSchema.parse({
    host: machine.name,
    controller: "ctl:7400",
    listen: `${machine.name}:7401`,
    migration_address: machine.name,
    virt_type: "qemu",
    block_devices: ["/dev/loop*"],
    reserved_host_memory_mb: 0,
    reserved_host_disk_mb: 0,
    tls: TLS,
  });
  machine.install("ferry-agent", config);
}

const isDevice = (path: string): boolean => path.startsWith("/dev/");

const domainXml = (uuid: string, { name, memoryMib, path }: Guest): string =>
  `<domain type="qemu"><name>${name}</name><uuid>${uuid}</uuid><memory unit="KiB">${memoryMib * 1024}</memory><vcpu>1</vcpu><cpu mode="custom" match="exact"><model>qemu64</model></cpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator><disk type="${isDevice(path) ? "block" : "file"}" device="disk"><driver name="qemu" type="raw"/><source ${isDevice(path) ? "dev" : "file"}="${path}"/><target dev="vda" bus="virtio"/></disk></devices></domain>`;

interface Pem {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const issued = new Map<string, Promise<Pem>>();
const authority = createAuthority("ferry", new Date(START_MS - 86_400_000));

/** Made once for all worlds of this process. */
function certificateOf(identity: Omit<Identity, "domain">): Promise<Pem> {
  const label = `${identity.kind}/${identity.name}`;
  const known = issued.get(label) ?? issue(identity);
  issued.set(label, known);
  return known;
}

async function issue(identity: Omit<Identity, "domain">): Promise<Pem> {
  const order = {
    identity: { ...identity, domain: "ferry" },
    addresses: [],
    days: 300,
    now: new Date(START_MS - 86_400_000),
  };
  const { certPem, keyPem } = await issueCertificate(await authority, order);
  return { ca: (await authority).certPem, cert: certPem, key: keyPem };
}

/** The daemons make their databases once for all worlds of this process; each world gets them as they were then. */
async function makeDatabases(): Promise<void> {
  const world = new World(0);
  await Fleet.open(world, { hosts: 1, servers: 0, confirmWindow: 0 });
  world.close();
}

await makeDatabases();
