/** The benchmarks with small files: every row copies, is compared and is accounted for, and nothing stays behind. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuAccount } from "../../bench/copy/cpu-account.js";
import { measure } from "../../bench/copy/measure.js";
import { loopback } from "../../bench/copy/network.js";
import { reportOf } from "../../bench/copy/report.js";
import type { Row } from "../../bench/copy/rows/row.js";
import { until } from "./support/transfer-world.js";

const PROGRAM = "dist/bench/main.js";
const ROWS = [
  [
    "ferry-tls-1",
    "ferry-tls-2",
    "ferry-tls-1-noverify",
    "ferry-tls-2-noverify",
    "scp",
    "scp-gcm",
    "rsync-sparse",
    "rsync-sparse-compress",
    "rsync-whole",
  ],
  ["nbd-plain", "nbd-tls", "tcp", "cp"],
].flat();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-bench-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(...args: string[]) {
  const child = spawn(process.execPath, [PROGRAM, "copy", "--folder", folder, ...args]);
  const said = { out: "", error: "" };
  child.stdout.setEncoding("utf8").on("data", text => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", text => (said.error += text));
  return { child, said, closed: once(child, "close") as Promise<[number | null]> };
}

async function bench(...args: string[]) {
  const { child, said, closed } = start(...args);
  const [code] = await closed;
  return { code, pid: child.pid ?? 0, ...said };
}

function expectNothingLeft(pid: number): void {
  expect(readdirSync(folder).filter(name => name.startsWith("ferry-bench-"))).toEqual([]);
  for (const group of ["cpuacct/", "cpu,cpuacct/", ""]) {
    expect(existsSync(`/sys/fs/cgroup/${group}ferry-bench-${pid}`)).toBe(false);
  }
  expect(spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout).not.toContain(
    `ferry-bench-${pid}-`,
  );
}

describe("npm run bench -- copy", () => {
  it("copies by every row, equal each time, and prints one JSON object", async () => {
    const { code, out, error, pid } = await bench("--size", "1M", "--runs", "1", "--json");
    expect(error).toContain("1/1 nbd-tls: 1 MiB");
    const report = JSON.parse(out) as { source: string; rows: { name: string }[] };
    expect(report.rows.map(({ name }) => name)).toEqual(ROWS);
    for (const row of report.rows) {
      expect(row).toEqual({
        name: row.name,
        runs: 1,
        cpuSecondsPerGiB: expect.any(Number),
        gibPerSecond: expect.any(Number),
        verified: true,
      });
    }
    expect(Object.keys(report)).toEqual(["source", "rows"]);
    expect(code).toBe(0);
    expectNothingLeft(pid);
  });

  it("goes over a shaped link between namespaces of its own", async () => {
    const rows = "ferry-tls-1,scp-gcm,nbd-tls,tcp";
    const { code, out, error, pid } = await bench(
      "--data",
      "shaped",
      "--size",
      "16M",
      "--runs",
      "1",
      "--rows",
      rows,
    );
    expect(error).toContain("over a link of 1gbit");
    expect(out).toMatch(/tcp +\| +\d\.\d\dx \/ \d/);
    expect(code).toBe(0);
    expectNothingLeft(pid);
  });

  it("sends what differs from what the target has", async () => {
    const { code, out } = await bench("--data", "delta", "--size", "16M", "--runs", "1");
    expect(out).toMatch(/ferry-delta +\| +1 \|.*\| yes/);
    expect(out).toMatch(/ferry-delta-reread +\| +1 \|.*\| yes/);
    expect(code).toBe(0);
  });

  it("takes a file of the user's, and leaves it as it is", async () => {
    const file = join(folder, "mine");
    writeFileSync(file, Buffer.alloc(100_000, 7));
    const { code, out } = await bench("--source", file, "--rows", "ferry-tls-1,cp", "--runs", "2", "--json");
    expect(JSON.parse(out)).toMatchObject({
      source: file,
      rows: [{ runs: 2, verified: true }, { verified: true }],
    });
    expect(code).toBe(0);
    expect(readdirSync(folder)).toEqual(["mine"]);
    rmSync(file);
  });

  it("says what is wrong with what it was told", async () => {
    expect((await bench("--rows", "scp2")).error).toContain("need: ferry-tls-1, ");
    expect((await bench("--source", join(folder, "none"))).error).toContain("no such file");
    expect(await bench("--size", "60T", "--rows", "cp")).toMatchObject({ code: 5, out: "" });
  });

  it("interrupted, ends what it started and removes what it made", async () => {
    const { child, said, closed } = start("--size", "64M", "--rows", "rsync-sparse", "--runs", "100");
    await until(() => said.error.includes("1/100"), "the first run", 30_000);
    child.kill("SIGINT");
    expect((await closed)[0]).toBe(130);
    expectNothingLeft(child.pid ?? 0);
  });
});

describe("interrupted while a copy is compared", () => {
  /** A `cmp` that takes its time, in the path of the program. */
  function slowComparison(): NodeJS.ProcessEnv {
    const tools = join(folder, "tools");
    mkdirSync(tools);
    writeFileSync(join(tools, "cmp"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    return { ...process.env, PATH: `${tools}:${process.env.PATH}` };
  }

  it("calls the copy not finished, whoever the signal reaches first", async () => {
    const options = ["copy", "--folder", folder, "--size", "1M", "--rows", "cp"];
    const child = spawn(process.execPath, [PROGRAM, ...options], { detached: true, env: slowComparison() });
    const closed = once(child, "close") as Promise<[number | null]>;
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (said += text));
    const group = child.pid ?? 0;
    const comparing = () => spawnSync("pgrep", ["-g", String(group), "-x", "sleep"]).status === 0;
    await until(comparing, "the comparison", 30_000);
    process.kill(-group, "SIGTERM"); // as timeout(1) and a terminal do
    expect((await closed)[0]).toBe(130);
    expect(said).toContain("1/5 cp: not finished");
    expect(said).not.toContain("EQUAL");
    expectNothingLeft(group);
    rmSync(join(folder, "tools"), { recursive: true });
  });
});

describe("a measurement", () => {
  const rowOf = (copy: (source: string, target: string) => void): Row => ({
    name: "ferry-test",
    summary: "",
    needs: [],
    prepare: async ({ source, target }) => ({
      copy: async () => {
        copy(source, target);
        return undefined;
      },
    }),
  });

  it("does not believe a row that did not copy", async () => {
    const source = join(folder, "source");
    writeFileSync(source, Buffer.alloc(65_536, 1));
    const short = rowOf((_from, to) => writeFileSync(to, Buffer.alloc(65_535, 1)));
    const wrong = rowOf((_from, to) => writeFileSync(to, Buffer.alloc(65_536, 2)));
    const subject = { source, sizeBytes: 65_536, dataBytes: 65_536 };
    const options = { runs: 1, subject, folder, network: loopback, signal: AbortSignal.timeout(30_000) };
    const onInterrupted = () => {};
    const samples = await measure({ ...options, rows: [short, wrong], onSample: () => {}, onInterrupted });
    expect(reportOf("test", subject, samples).rows.map(({ verified }) => verified)).toEqual([false, false]);
    rmSync(source);
  });

  it("accounts for a daemon that nobody waits for", async () => {
    const account = CpuAccount.open(`ferry-bench-test-${process.pid}`);
    const burn =
      "const used = () => Object.values(process.cpuUsage()).reduce((a, b) => a + b); while (used() < 4e5);";
    const daemon = `setsid "${process.execPath}" -e '${burn}' </dev/null >/dev/null 2>&1 &`;
    const [program = "", ...args] = account.enclose(["/bin/sh", "-c", daemon]);
    spawnSync(program, args, { stdio: "ignore" });
    await until(() => account.processes.length === 0, "the daemon's end", 30_000);
    expect(account.cpuSeconds).toBeGreaterThan(0.3);
    await account.close();
  });
});
