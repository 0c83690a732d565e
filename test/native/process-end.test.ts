/** What the addons do to the process that loads them: how it ends, how it grows, what it says without libvirt. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const VIRT = join(ROOT, "native", "build", "Release", "virt.node");
const TRANSFER = join(ROOT, "native", "build", "Release", "transfer.node");
const FASTIO = join(ROOT, "native", "build", "Release", "fastio.node");

interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

function run(command: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", chunk => {
        output += chunk;
      });
    }
    child.on("error", reject);
    child.on("close", (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
}

const exercise = (name: string, ...args: string[]) =>
  run(process.execPath, ["--expose-gc", join(import.meta.dirname, "exercise", name), ...args]);

describe("a process", () => {
  it("ends cleanly at any moment, with calls in flight and a worker stuck for 20 s", async () => {
    for (let attempt = 0; attempt < 15; attempt++) {
      const start = Date.now();
      expect(await exercise("exit-storm.mjs", VIRT)).toEqual({ exitCode: 7, signal: null, output: "" });
      expect(Date.now() - start).toBeLessThan(10_000);
    }
  });

  it("survives worker threads that are terminated with calls and events in flight", async () => {
    const ended = await exercise("worker-storm.mjs", VIRT, "10");
    expect(ended).toEqual({ exitCode: 0, signal: null, output: "storm over\n" });
  });

  it("does not grow while handles come and go, freed or left to the collector", async () => {
    const ended = await exercise("libvirt-rounds.mjs", VIRT, "3000");
    expect(ended.exitCode).toBe(0);
    const { residentMib } = JSON.parse(ended.output) as { residentMib: number[] };
    const [, second = 0, , , last = 0] = residentMib;
    expect(last - second).toBeLessThan(15);
  });

  it("ends cleanly at any moment with transfers under way", async () => {
    for (let attempt = 0; attempt < 8; attempt++) {
      const start = Date.now();
      expect(await exercise("transfer-exit.mjs", TRANSFER)).toEqual({
        exitCode: 7,
        signal: null,
        output: "",
      });
      expect(Date.now() - start).toBeLessThan(10_000);
    }
  });

  it("copies, is cut off, is sent noise, over and over", async () => {
    const ended = await exercise("transfer-rounds.mjs", TRANSFER, "3");
    expect(ended).toEqual({ exitCode: 0, signal: null, output: "" });
  });

  it("runs every call of the file addon over and over", async () => {
    expect(await exercise("file-rounds.mjs", FASTIO, "20")).toEqual({
      exitCode: 0,
      signal: null,
      output: "",
    });
  });
});

describe("without libvirt's library", () => {
  const load = (name: string) =>
    `import(${JSON.stringify(join(ROOT, "native", "lib", "load-addon.ts"))})
       .then(({ loadAddon }) => loadAddon(${JSON.stringify(name)}))
       .then(() => console.log("loaded"), error => console.log(error.code, error.message))`;
  // In a mount namespace of its own, so that nobody else loses the library: overlays with whiteouts in its place.
  const hideLibvirt = `
    set -e
    scratch=/mnt
    mount -t tmpfs tmpfs "$scratch"
    libraries=$(dirname "$(readlink -f "$(ldconfig -p | awk '/libvirt\\.so\\.0/ { print $NF; exit }')")")
    mkdir "$scratch/upper" "$scratch/work"
    for library in "$libraries"/libvirt*.so*; do mknod "$scratch/upper/$(basename "$library")" c 0 0; done
    mount -t overlay overlay -o "lowerdir=$libraries,upperdir=$scratch/upper,workdir=$scratch/work" "$libraries"
    exec "$@"`;
  const runHidden = (script: string) =>
    run("unshare", ["-m", "sh", "-c", hideLibvirt, "sh", process.execPath, "-e", script]);

  it.runIf(process.getuid?.() === 0)("the loader says what to install", async () => {
    const { output } = await runHidden(load("virt"));
    expect(output).toMatch(/^ERR_LIBVIRT_UNAVAILABLE .*apt-get install libvirt0/);
  });

  it.runIf(process.getuid?.() === 0)("the file addon still loads", async () => {
    expect((await runHidden(load("fastio"))).output).toBe("loaded\n");
  });
});
