/**
 * One account for the processor time of everything that a copy makes run, at both ends.
 *
 * A control group of its own: children, grandchildren and daemons that left their parents are all in it, running or gone,
 * user and system time alike. What a program costs is therefore what the account has grown by. Works with version 1
 * (cpuacct) and version 2 of control groups. Not in it: the kernel's own threads, such as page-cache write-back.
 */

import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../../proto/fault.js";

const ROOT = "/sys/fs/cgroup";
const END_LIMIT_MS = 10_000;

interface Accounting {
  readonly parent: string;
  readonly cpuSeconds: (group: string) => number;
}

const version1 = (parent: string): Accounting => ({
  parent,
  cpuSeconds: group => Number(readFileSync(join(group, "cpuacct.usage"), "utf8")) / 1e9,
});

const version2: Accounting = {
  parent: ROOT,
  cpuSeconds: group => {
    const usage = /^usage_usec (\d+)$/m.exec(readFileSync(join(group, "cpu.stat"), "utf8"));
    return Number(usage?.[1]) / 1e6;
  },
};

function findAccounting(): Accounting {
  const old = ["cpuacct", "cpu,cpuacct"].map(name => join(ROOT, name));
  const parent = old.find(folder => existsSync(join(folder, "cpuacct.usage")));
  if (parent !== undefined) return version1(parent);
  if (existsSync(join(ROOT, "cgroup.controllers"))) return version2;
  throw new Fault("unsupported", "account for processor time", {
    have: `no control groups with cpuacct in ${ROOT}`,
    need: "control groups of version 1 or 2",
  });
}

export class CpuAccount {
  readonly #accounting: Accounting;
  readonly #group: string;

  private constructor(accounting: Accounting, group: string) {
    this.#accounting = accounting;
    this.#group = group;
  }

  static open(name: string): CpuAccount {
    const accounting = findAccounting();
    const group = join(accounting.parent, name);
    try {
      mkdirSync(group);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new Fault("failed", `account for processor time: ${cause}`, { fix: "run it as root" });
    }
    return new CpuAccount(accounting, group);
  }

  /** Since the account was opened. */
  get cpuSeconds(): number {
    return this.#accounting.cpuSeconds(this.#group);
  }

  get processes(): number[] {
    const list = readFileSync(join(this.#group, "cgroup.procs"), "utf8");
    return list.split("\n").filter(Boolean).map(Number);
  }

  /** A command line that runs `command` in this account from its first instruction on. */
  enclose(command: readonly string[]): string[] {
    const enter = 'echo $$ >"$0" && exec "$@"';
    return ["/bin/sh", "-c", enter, join(this.#group, "cgroup.procs"), ...command];
  }

  /** Kills what still runs in the account, and closes it. */
  async close(): Promise<void> {
    const deadline = Date.now() + END_LIMIT_MS;
    for (;;) {
      for (const pid of this.processes) kill(pid);
      try {
        rmdirSync(this.#group);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
      await pause(10);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
