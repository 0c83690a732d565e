/**
 * Where one copy takes place: an empty folder, a network, and an account that everything started here is in.
 *
 * Closing it ends whatever still runs. A program that fails is reported with what it said last.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../../proto/fault.js";
import type { CpuAccount } from "./cpu-account.js";
import type { End, Network } from "./network.js";

export interface StageOptions {
  readonly folder: string;
  readonly source: string;
  readonly target: string;
  readonly sizeBytes: number;
  readonly network: Network;
  readonly account: CpuAccount;
  readonly signal: AbortSignal;
}

/** A program that was started; `ended` rejects when it fails. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<void>;
}

const READY_LIMIT_MS = 20_000;
const POLL_MS = 5;
const SAID_BYTES = 2000;

export class Stage {
  /** Keys, configuration, sockets of this copy. */
  readonly folder: string;
  readonly source: string;
  readonly target: string;
  readonly sizeBytes: number;
  readonly network: Network;
  readonly account: CpuAccount;
  readonly #signal: AbortSignal;

  constructor(options: StageOptions) {
    this.folder = options.folder;
    this.source = options.source;
    this.target = options.target;
    this.sizeBytes = options.sizeBytes;
    this.network = options.network;
    this.account = options.account;
    this.#signal = options.signal;
    mkdirSync(this.folder, { mode: 0o700 });
  }

  /** Starts a program at one end, in the account; with `talk` a Node program that gets an IPC channel. */
  start(end: End, command: readonly string[], talk = false): Running {
    this.#signal.throwIfAborted();
    const [program = "", ...args] = this.account.enclose(this.network.enter(end, command));
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe", talk ? "ipc" : "ignore"] });
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-SAID_BYTES);
    });
    const ended = once(child, "close").then(([code, signal]) => {
      if (code === 0) return;
      throw new Fault("failed", `${command[0]} ended with ${code ?? signal}: ${said.trim() || "(no word)"}`);
    });
    ended.catch(() => {}); // whoever needs it awaits it
    if (child.pid === undefined) throw new Fault("failed", `${program} did not start`);
    return { child, pid: child.pid, ended };
  }

  /** Runs a program at one end until it has succeeded. */
  async run(end: End, command: readonly string[]): Promise<void> {
    await this.start(end, command).ended;
  }

  /** Ends a program that has done its work and would stay. */
  async stop({ child }: Running): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Waits for `condition` while `server` lives. */
  async ready(server: Running, condition: () => boolean, what: string): Promise<void> {
    let failure: unknown;
    server.ended.then(
      () => (failure = new Fault("failed", `${what}: it ended at once`)),
      (error: unknown) => (failure = error),
    );
    const deadline = Date.now() + READY_LIMIT_MS;
    while (!condition()) {
      this.#signal.throwIfAborted();
      if (failure !== undefined) throw failure;
      if (Date.now() > deadline) throw new Fault("timeout", `${what}: not within ${READY_LIMIT_MS} ms`);
      await pause(POLL_MS);
    }
  }

  /** Waits until the server accepts connections, without making one. */
  async listening(server: Running, port: number): Promise<void> {
    await this.ready(server, () => listens(server.pid, port), `listen on port ${port}`);
  }

  /** A port that nobody uses at the moment. */
  async freePort(): Promise<number> {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const bound = probe.address();
    probe.close();
    await once(probe, "close");
    return typeof bound === "object" && bound !== null ? bound.port : 0;
  }

  async close(): Promise<void> {
    await this.account.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const LISTENING = "0A";

/** The kernel's own table, as the process sees it: its network namespace need not be ours. */
function listens(pid: number, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  try {
    const lines = readFileSync(`/proc/${pid}/net/tcp`, "utf8").split("\n").slice(1);
    return lines.some(line => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      return local.endsWith(suffix) && state === LISTENING;
    });
  } catch {
    return false; // it has just ended; whoever waits learns why
  }
}
