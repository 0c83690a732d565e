/** Runs `private-libvirtd.sh`: a real libvirtd with real QEMU guests (TCG), for tests; needs root. */

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export const canRunPrivateLibvirtd =
  process.getuid?.() === 0 && existsSync("/usr/sbin/libvirtd") && existsSync("/usr/bin/qemu-system-x86_64");

export class PrivateLibvirtd {
  readonly directory = mkdtempSync(join(tmpdir(), "ferry-libvirtd-"));
  readonly uri = `qemu+unix:///system?socket=${this.directory}/socket/libvirt-sock`;
  readonly #unshare: ChildProcess;

  private constructor() {
    const script = join(import.meta.dirname, "private-libvirtd.sh");
    const args = ["-m", "-n", "-p", "--fork", "--kill-child", "bash", script, this.directory];
    this.#unshare = spawn("unshare", args, { stdio: ["ignore", "ignore", "inherit"] });
  }

  static async start(): Promise<PrivateLibvirtd> {
    const daemon = new PrivateLibvirtd();
    const socket = join(daemon.directory, "socket", "libvirt-sock");
    await until(() => existsSync(socket), 20_000);
    // The first question has it start every emulator there is and ask that: on a busy machine, longer than tests wait.
    await run("virsh", ["--connect", daemon.uri, "version"], { timeout: 50_000 });
    return daemon;
  }

  /** SIGKILL; the daemon comes back by itself, its guests run on. */
  kill(): void {
    this.inside("kill -9 $(cat /run/libvirtd.pid)");
  }

  /** A shell command in the namespaces of the daemon. */
  inside(command: string): string {
    const pid = this.#unshare.pid;
    const init = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return execFileSync("nsenter", ["-t", init, "-m", "-n", "-p", "sh", "-c", command], { encoding: "utf8" });
  }

  async stop(): Promise<void> {
    const ended = new Promise(resolve => this.#unshare.once("exit", resolve));
    this.#unshare.kill("SIGKILL");
    await ended;
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Waits for a condition. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  for (const end = Date.now() + limitMs; !(await condition()); await delay(20)) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${condition}`);
  }
}
