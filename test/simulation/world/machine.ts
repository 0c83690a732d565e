/**
 * One machine: a disk, a libvirtd with its guests, a wall clock of its own, and the daemons that its init keeps
 * running. It can lose its power at any step and boots again from what its disk has kept.
 */

import { daemonNamed } from "../edges/daemon.js";
import { type DatabaseFile, freshDatabase, giveBack } from "../edges/sqlite.js";
import { Disk, type Inode } from "./disk.js";
import { Libvirt } from "./libvirt.js";
import { Process, ProcessDied } from "./process.js";
import type { Random } from "./random.js";
import { START_MS } from "./virtual-time.js";
import type { World } from "./world.js";

const GIB = 1024 ** 3;
const RESTART_MS = 1_000;
const BOOT_MS = 15_000;

/** The parsed configuration of a daemon. */
export type Config = { readonly log_level: string };

interface Unit {
  readonly program: string;
  readonly config: Config;
  process: Process | undefined;
  /** Not started again by init. */
  isHeld: boolean;
}

export class Machine {
  readonly world: World;
  readonly name: string;
  readonly random: Random;
  readonly disk: Disk;
  readonly libvirt: Libvirt;
  isUp = true;
  clockOffsetMs = 0;
  /** Chance that one step takes its time, and how long that is at most. */
  slowness = { chance: 0.01, mostMs: 20 };
  readonly #databases = new Map<string, DatabaseFile>();
  readonly #units = new Map<string, Unit>();
  readonly devices: Inode[] = [];
  #bootCount = 0;
  #pids = 1_000;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random.fork(name);
    const nowNs = () => BigInt(Math.floor(this.wallMs() * 1000)) * 1000n;
    this.disk = new Disk({ nowNs, device: "8:1", capacityBytes: 100 * GIB });
    this.disk.makeDirectories("/run", 0o755, true);
    this.disk.makeDirectories("/proc", 0o755, true);
    this.disk.makeDirectories("/tmp", 0o777, true);
    this.disk.onDeviceWrite = device => this.#tellWrites(device);
    this.libvirt = new Libvirt(this);
  }

  wallMs(): number {
    return START_MS + this.world.time.nowMs + this.clockOffsetMs;
  }

  stepDelayMs(): number {
    const { chance, mostMs } = this.slowness;
    return this.random.chance(chance) ? this.random.next() * mostMs : 0;
  }

  nextPid(): number {
    return this.#pids++;
  }

  database(path: string): DatabaseFile {
    const known = this.#databases.get(path) ?? freshDatabase(path.slice(path.lastIndexOf("/") + 1));
    this.#databases.set(path, known);
    return known;
  }

  /** Init starts it now and whenever it ends. */
  install(program: string, config: Config): void {
    this.#units.set(program, { program, config, process: undefined, isHeld: false });
  }

  /** Of a program, or of the only one. */
  running(program?: string): Process | undefined {
    const units = [...this.#units.values()].filter(unit => program === undefined || unit.program === program);
    return units.find(({ process }) => process !== undefined && process.state !== "dead")?.process;
  }

  startAll(): void {
    for (const unit of this.#units.values()) this.#start(unit);
  }

  hold(program: string): void {
    const unit = this.#units.get(program);
    if (unit !== undefined) unit.isHeld = true;
  }

  let(program: string): void {
    const unit = this.#units.get(program);
    if (unit === undefined) return;
    unit.isHeld = false;
    this.#start(unit);
  }

  losePower(): void {
    if (!this.isUp) return;
    this.say("loses its power");
    this.isUp = false;
    for (const { process } of this.#units.values()) process?.kill();
    this.libvirt.losePower();
    for (const file of this.#databases.values()) file.losePower();
    const keepsSome = this.random.chance(0.5);
    this.disk.loseUnflushed(() => keepsSome && this.random.chance(0.5));
    this.disk.makeDirectories("/run", 0o755, true);
    this.disk.makeDirectories("/proc", 0o755, true);
    this.disk.makeDirectories("/tmp", 0o777, true);
  }

  /** Autostart comes before any agent. */
  boot(): void {
    if (this.isUp) return;
    if (this.disk.isFailing) {
      this.say("does not boot: its disk fails");
      this.world.time.after(BOOT_MS, undefined, () => this.boot());
      return;
    }
    this.say("boots");
    this.isUp = true;
    this.provideFacts();
    this.libvirt.boot();
    this.world.time.after(BOOT_MS / 10, undefined, () => this.isUp && this.startAll());
  }

  /** What the kernel and the distribution put there at every boot. */
  provideFacts(): void {
    const bootId = this.random.uuid();
    for (const [path, text] of Object.entries(factsOf(bootId))) this.writeFile(path, text);
    this.disk.find("/etc")?.flush();
    this.#bootCount += 1;
    for (const device of this.devices) this.#provideDevice(device);
  }

  /** A block device of this machine alone. */
  addDevice(path: string, content: Buffer): void {
    this.disk.makeDirectories("/dev", 0o755);
    const device = this.disk.createDevice(path, this.devices.length, content);
    this.devices.push(device);
    this.#provideDevice(device);
  }

  #provideDevice(device: Inode): void {
    device.writtenSectors = 0;
    const facts = { size: device.sizeBytes / 512, diskseq: this.#bootCount, serial: `disk-${device.minor}` };
    for (const [name, value] of Object.entries(facts))
      this.writeFile(`/sys/dev/block/7:${device.minor}/${name}`, `${value}\n`);
    this.#tellWrites(device);
  }

  #tellWrites({ minor, writtenSectors }: Inode): void {
    const count = `${writtenSectors}`.padStart(12);
    this.writeFile(`/sys/dev/block/7:${minor}/stat`, `0 0 0 0 0 0 ${count} 0 0 0 0 0 0 0 0 0 0\n`);
  }

  writeFile(path: string, content: string | Buffer, mode = 0o644): void {
    this.disk.makeDirectories(path.slice(0, path.lastIndexOf("/")) || "/", 0o755);
    if (this.disk.find(path) === undefined) this.disk.create(path, "file", mode);
    const file = this.disk.open(path, 2);
    file.write(Buffer.from(content), 0);
    file.flush();
    file.close();
  }

  /** Everything below a path as if it had always been there. */
  flushTree(path = "/"): void {
    const visit = (inode: (typeof this.disk)["root"]) => {
      if (inode.isVolatile) return;
      inode.flush();
      for (const entry of inode.entries.values()) visit(entry);
    };
    visit(this.disk.need(path, "open"));
  }

  close(): void {
    this.isUp = false;
    for (const { process } of this.#units.values()) process?.kill();
    for (const file of this.#databases.values()) giveBack(file);
  }

  say(text: string): void {
    this.world.say(this.name, text);
  }

  /** What no code of a daemon caught ends it, as `proto/daemon.ts` sees to. */
  uncaught(process: Process, error: unknown): void {
    if (process.state === "dead" || error instanceof ProcessDied) return;
    if (isOfTheDisk(error)) this.say(`${process.program} gives up: ${(error as Error).message}`);
    else this.world.bug(this, process.program, error);
    process.kill();
  }

  #start(unit: Unit): void {
    const isRunning = unit.process !== undefined && unit.process.state !== "dead";
    if (!this.isUp || unit.isHeld || isRunning) return;
    const process = new Process(this, unit.program, this.nextPid());
    unit.process = process;
    this.say(`starts ${unit.program}`);
    process.onDeath.add(() => this.#restartLater(unit));
    process.enter(() => void this.#serve(unit, process));
  }

  async #serve({ program, config }: Unit, process: Process): Promise<void> {
    const stopped = new AbortController();
    const crash = (error: unknown): never => {
      // Whatever its code still says: it has ended already.
      if (process.state !== "dead") this.world.bug(this, program, error);
      process.kill();
      throw new ProcessDied();
    };
    const log = this.world.logger(this, program);
    try {
      await daemonNamed(program).serve(config, { log, crash, stopped: stopped.signal, environment: {} });
    } catch (error) {
      if (process.state === "dead") return;
      this.say(`${program} ended: ${error instanceof Error ? error.message : String(error)}`);
      this.world.onDaemonFailure(this, program, error);
    }
    process.kill();
  }

  #restartLater(unit: Unit): void {
    if (!this.isUp) return;
    this.world.time.after(RESTART_MS, undefined, () => this.#start(unit));
  }
}

/** A daemon that cannot write down what it did stops: with its journal it must not go on. */
const isOfTheDisk = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  ["EIO", "SQLITE_IOERR", "SQLITE_FULL"].includes(String(error.code));

const factsOf = (bootId: string): Record<string, string> => ({
  "/proc/meminfo": "MemTotal:       16777216 kB\nMemFree:        15000000 kB\nMemAvailable:   15000000 kB\n",
  "/proc/sys/kernel/random/boot_id": `${bootId}\n`,
  "/proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n",
  "/proc/cpuinfo": `processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Simulated\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu vme de pse tsc msr\n`,
  "/sys/devices/system/cpu/online": "0\n",
  "/sys/devices/system/cpu/possible": "0\n",
  "/sys/devices/system/cpu/present": "0\n",
  "/sys/devices/system/node/online": "0\n",
  "/sys/devices/system/node/node0/cpulist": "0\n",
  "/sys/devices/system/node/node0/distance": "10\n",
  "/sys/devices/system/node/node0/meminfo":
    "Node 0 MemTotal:       16777216 kB\nNode 0 MemFree:        15000000 kB\n",
});
