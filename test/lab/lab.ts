/**
 * A lab of its own for a test file: hosts that are namespaces with their own libvirtd, agent, disks and networks, made and
 * ended by test/lab/lab.sh. `Lab.up` gives it an id and addresses that no other lab has, so test files cannot meet.
 *
 *   await using lab = await Lab.up({ id: "cold-migration", hosts: 2 });
 *   await lab.output("h1", ["virsh", "list", "--all"]);
 *
 * Commands run in a host with a deadline; conditions are waited for, never slept for.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export type Host = "ctl" | `h${number}`;
export type Device = "eth0" | "mig0";
export type DaemonAction = "start" | "stop" | "kill";

export interface LabOptions {
  /** Part of the lab's name: a-z, 0-9, "-". */
  readonly id: string;
  /** Hosts with libvirt, h1 … hN; `ctl` comes with them. */
  readonly hosts?: number;
  /** LAB_BARE, LAB_QEMU … as in `npm run lab -- help`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ExecOptions {
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; 128 + signal number if a signal ended it inside the host. */
  readonly code: number;
}

export interface WaitOptions {
  readonly deadlineMs: number;
  /** Names what was waited for when the deadline has passed; a function tells of what happened meanwhile too. */
  readonly what: string | (() => string);
}

export interface LinkCounters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

const LAB_PROGRAM = join(import.meta.dirname, "lab.sh");
const POLL_MS = 50;
const LONGEST_POLL_MS = 500;
/** Emulated guests on a machine that does other things too are slow; a deadline is for what never comes. */
export const PATIENCE_MS = 180_000;
const VERB_TIMEOUT_MS = PATIENCE_MS;
const EXEC_TIMEOUT_MS = 90_000;

/** The first answer of `condition` that is neither undefined nor false; throws when there is none before the deadline. */
export async function waitFor<T>(
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + options.deadlineMs;
  for (;;) {
    const askedMs = Date.now();
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() >= deadline)
      throw new Error(`not within ${options.deadlineMs} ms: ${named(options.what)}`);
    // What takes long to answer computes long, on processors that the lab itself needs.
    await pause(Math.min(Math.max(POLL_MS, 2 * (Date.now() - askedMs)), LONGEST_POLL_MS));
  }
}

const named = (what: WaitOptions["what"]): string => (typeof what === "string" ? what : what());

export class Lab implements AsyncDisposable {
  /** `LAB_ID=… npm run lab -- status` shows it. */
  readonly id: string;
  /** What its hosts keep, a folder each: `h1/var/lib/libvirt/images`, also readable while the host is off. */
  readonly directory: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(id: string, env: Readonly<Record<string, string>>) {
    this.id = id;
    this.directory = join(process.env.XDG_STATE_HOME || "/var/tmp", "ferry-lab", id);
    this.#env = { ...process.env, ...networksOf(id), ...env, LAB_ID: id, LAB_DIR: this.directory };
  }

  /** Ends what came up if not everything did. */
  static async up(options: LabOptions): Promise<Lab> {
    const lab = new Lab(`${options.id}-${process.pid}`, options.env ?? {});
    try {
      await lab.#verb(["up", String(options.hosts ?? 2)]);
    } catch (error) {
      await lab.down();
      throw error;
    }
    return lab;
  }

  /** Runs a command in a host. The status is the caller's to judge; only the deadline throws. */
  exec(host: Host, argv: readonly string[], options: ExecOptions = {}): Promise<Finished> {
    return this.#run(["exec", host, ...argv], { timeoutMs: EXEC_TIMEOUT_MS, ...options });
  }

  /** Standard output, without the last newline, of a command that has to succeed. */
  async output(host: Host, argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const finished = await this.exec(host, argv, options);
    assert.equal(finished.code, 0, `${host}: ${argv.join(" ")}: ${finished.stderr || finished.stdout}`);
    return finished.stdout.replace(/\n$/, "");
  }

  /** The ferry command, as an operator on ctl would call it. */
  ferry(...args: readonly string[]): Promise<Finished> {
    return this.exec("ctl", ["ferry", ...args], { timeoutMs: VERB_TIMEOUT_MS });
  }

  async start(host: Host): Promise<void> {
    await this.#verb(["start", host]);
  }

  /** Switched off: its daemons end, its guests are cut off. */
  async stop(host: Host): Promise<void> {
    await this.#verb(["stop", host]);
  }

  /** A power cut. */
  async kill(host: Host): Promise<void> {
    await this.#verb(["kill", host]);
  }

  /** Guests keep running. */
  async restartLibvirtd(host: Host): Promise<void> {
    await this.#verb(["restart-libvirtd", host]);
  }

  /** A killed agent comes back by itself, a stopped one does not. */
  async agent(host: Host, action: DaemonAction): Promise<void> {
    await this.#verb(["agent", host, action]);
  }

  async controller(action: DaemonAction): Promise<void> {
    await this.#verb(["controller", action]);
  }

  /** Unplugs or plugs one cable of a host, or both. */
  async link(host: Host, state: "up" | "down", ...device: [] | [Device]): Promise<void> {
    await this.#verb(["link", host, state, ...device]);
  }

  /** Limits both directions: "50mbit", or "off". */
  async shape(host: Host, rate: string, ...device: [] | [Device]): Promise<void> {
    await this.#verb(["shape", host, rate, ...device]);
  }

  async linkCounters(host: Host, device: Device): Promise<LinkCounters> {
    const line = await this.#verb(["counters", host, device]);
    const [, received, sent] = /rx_bytes=(\d+) tx_bytes=(\d+)/.exec(line) ?? [];
    assert(received !== undefined && sent !== undefined, `counters of ${host}: ${line}`);
    return { receivedBytes: Number(received), sentBytes: Number(sent) };
  }

  /** The process id, on this machine, of a host's first process. */
  async pid(host: Host): Promise<number> {
    return Number(await this.#verb(["pid", host]));
  }

  logs(host: Host): Promise<string> {
    return this.#verb(["logs", host]);
  }

  /** What guests really run with here. */
  async virtType(): Promise<"kvm" | "qemu"> {
    return (await this.#verb(["kvm"])).trim() === "kvm" ? "kvm" : "qemu";
  }

  /** Builds the test guest if need be; the folder, the same in every host, with vmlinuz, initrd.gz and base.qcow2. */
  async guestFolder(): Promise<string> {
    return (await this.#verb(["guest"])).trim();
  }

  /**
   * Where a file of a host is on this machine, also while the host is off. Only for what a host keeps: /etc/libvirt,
   * /etc/ferry and the libvirt and ferry folders of /var/lib, /var/log and /var/cache; and /run/shared.
   */
  path(host: Host, inside: string): string {
    const shared = relative("/run/shared", inside);
    return shared.startsWith("..")
      ? join(this.directory, host, inside)
      : join(this.directory, "shared", shared);
  }

  /** What a domain has written to its serial port, which must be a file (`<serial type='file'>`). */
  async console(host: Host, domain: string): Promise<string> {
    return textOf(await this.#consoleFile(host, domain));
  }

  /** Waits until the domain's console matches; the match. */
  async waitForConsole(
    host: Host,
    domain: string,
    pattern: RegExp,
    deadlineMs = PATIENCE_MS,
  ): Promise<RegExpExecArray> {
    const file = await this.#consoleFile(host, domain);
    return waitFor(async () => pattern.exec(await textOf(file)) ?? undefined, {
      deadlineMs,
      what: `${domain} on ${host} says ${pattern.source}`,
    });
  }

  async #consoleFile(host: Host, domain: string): Promise<string> {
    const xml = await this.output(host, ["virsh", "-q", "dumpxml", domain]);
    const [, path] = /<serial type='file'>\s*<source path='([^']+)'/.exec(xml) ?? [];
    assert(path !== undefined, `${domain} on ${host} has no serial port that is a file`);
    return this.path(host, path);
  }

  /** Ends everything; nothing is left on this machine. */
  async down(): Promise<void> {
    await this.#verb(["down"]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }

  async #verb(args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await this.#run(args, { timeoutMs: VERB_TIMEOUT_MS });
    if (code !== 0) throw new Error(`lab ${args.join(" ")}: ${stderr.trim() || `status ${code}`}`);
    return stdout;
  }

  #run(args: readonly string[], options: ExecOptions & { readonly timeoutMs: number }): Promise<Finished> {
    const argv = ["bash", LAB_PROGRAM, ...args];
    // Node's own pipes are sockets, which a command cannot open as /dev/stdin.
    const piped = options.input === undefined ? argv : ["bash", "-c", 'cat | "$@"', "lab", ...argv];
    return runToEnd(piped, this.#env, options);
  }
}

/** A console that has not been written to yet is no file yet. */
async function textOf(file: string): Promise<string> {
  return existsSync(file) ? readFile(file, "utf8") : "";
}

/** Two networks in 10.0.0.0/8 that follow from the id. */
function networksOf(id: string): Record<string, string> {
  const [high = 0, low = 0] = createHash("sha256").update(id).digest();
  const second = 100 + (high % 60);
  return { LAB_NET: `10.${second}.${low}`, LAB_MIGNET: `10.${second + 60}.${low}` };
}

/** At the deadline the whole process group is killed: its id also holds for what runs inside a host. */
function runToEnd(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  options: ExecOptions & { readonly timeoutMs: number },
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const [program = "", ...args] = argv;
    const child = spawn(program, args, { env, detached: true, stdio: "pipe" });
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      reject(new Error(`not within ${options.timeoutMs} ms: ${argv.join(" ")}`));
    }, options.timeoutMs);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A command may end without having read its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input);
    child.on("error", reject);
    child.on("close", code => {
      clearTimeout(timer);
      resolve({
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
        code: code ?? 1,
      });
    });
  });
}
