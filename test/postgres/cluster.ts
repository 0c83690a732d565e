/**
 * A PostgreSQL of the tests' own, from Debian's package: a fresh cluster in a temporary folder, a socket and no port,
 * gone with the run. `provide`d as a URL; each test makes its own database in it.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** Of a cluster whose database `postgres` can be used to make others. */
    postgresUrl: string | undefined;
  }
}

const START_LIMIT_MS = 30_000;
/** PostgreSQL refuses to run as root. */
const USER = "postgres";

export class Cluster {
  readonly #folder: string;
  readonly #server: ChildProcess;

  private constructor(folder: string, server: ChildProcess) {
    this.#folder = folder;
    this.#server = server;
  }

  static async start(): Promise<Cluster> {
    const programs = programsFolder();
    const folder = mkdtempSync(join(tmpdir(), "ferry-postgres-"));
    const [uid, gid] = ["-u", "-g"].map(flag =>
      Number(execFileSync("id", [flag, USER], { encoding: "utf8" })),
    );
    const as = {
      uid: uid ?? 0,
      gid: gid ?? 0,
      cwd: folder,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
    };
    chownSync(folder, as.uid, as.gid);
    const data = join(folder, "data");
    execFileSync(join(programs, "initdb"), ["-D", data, "-A", "trust", "-U", USER, "--no-sync"], {
      ...as,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const server = spawn(
      join(programs, "postgres"),
      ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "max_connections=200"],
      { ...as, stdio: ["ignore", "ignore", "ignore"] },
    );
    const cluster = new Cluster(folder, server);
    const end = Date.now() + START_LIMIT_MS;
    while (!existsSync(join(folder, ".s.PGSQL.5432"))) {
      if (Date.now() > end || server.exitCode !== null)
        throw new Error(`PostgreSQL did not start in ${folder}`);
      await delay(20);
    }
    return cluster;
  }

  /** Of one of its databases. */
  url(database = "postgres"): string {
    return databaseUrl(`postgres://${USER}@localhost/postgres?host=${this.#folder}`, database);
  }

  async stop(): Promise<void> {
    const ended = new Promise(resolve => this.#server.once("exit", resolve));
    if (this.#server.exitCode === null) {
      this.#server.kill("SIGQUIT");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** Debian keeps the programs of each version in a folder of their own. */
function programsFolder(): string {
  const newest = globSync("/usr/lib/postgresql/*/bin/initdb").sort().at(-1);
  if (newest === undefined) throw new Error("PostgreSQL is not installed: bash test/setup.sh");
  return join(newest, "..");
}

/** vitest's global set-up. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await Cluster.start();
  project.provide("postgresUrl", cluster.url());
  return () => cluster.stop();
}
