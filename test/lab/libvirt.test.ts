/**
 * The lab itself, before anything of Ferry is trusted to it: its hosts are separate machines as far as libvirt, disks and
 * the network are concerned, and it leaves nothing behind.
 */

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineGuest, IMAGE_DIR, startGuest } from "./guest.js";
import { Lab, PATIENCE_MS, waitFor } from "./lab.js";

const BARE = { LAB_BARE: "1" };

/** Process ids, on this machine, of everything that lives in a host's network namespace. */
function processesIn(netNamespace: string): string[] {
  return readdirSync("/proc").filter(name => /^\d+$/.test(name) && namespaceOf(name) === netNamespace);
}

function namespaceOf(pid: string | number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // it has ended meanwhile
  }
}

function controlGroupsOf(labId: string): string[] {
  return readdirSync("/sys/fs/cgroup", { recursive: true, encoding: "utf8" }).filter(path =>
    path.includes(`ferry-lab-${labId}-`),
  );
}

describe("two lab hosts", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.up({ id: "libvirt", hosts: 2, env: BARE });
  });
  afterAll(() => lab.down());

  it("each have a libvirtd of their own", async () => {
    await lab.output("h1", ["virsh", "-q", "define", "/dev/stdin"], {
      input:
        "<domain type='qemu'><name>only-h1</name><memory>1024</memory><os><type>hvm</type></os></domain>",
    });
    const domains = await Promise.all(
      (["h1", "h2"] as const).map(host => lab.output(host, ["virsh", "-q", "list", "--all", "--name"])),
    );
    const hosts = await Promise.all(
      (["h1", "h2"] as const).map(host => lab.output(host, ["virsh", "-q", "capabilities"])),
    );
    expect(domains.map(names => names.trim())).toEqual(["only-h1", ""]);
    const uuids = hosts.map(xml => /<uuid>(.+)<\/uuid>/.exec(xml)?.[1]);
    expect(new Set(uuids).size).toBe(2);
  });

  it("do not see each other's images, only what is shared", async () => {
    await lab.output("h1", ["sh", "-c", `echo private >${IMAGE_DIR}/a && echo common >/run/shared/b`]);
    const onH2 = await lab.exec("h2", ["cat", `${IMAGE_DIR}/a`]);
    expect(onH2).toMatchObject({ code: 1, stdout: "" });
    expect(await lab.output("h2", ["cat", "/run/shared/b"])).toBe("common");
    // Nor by the way the lab itself stores them.
    const found = await lab.output("h2", ["find", "/var/tmp", "/run", "-path", "*/images/a"]);
    expect(found).toBe("");
  });

  it("speak over cables whose bytes are counted and which can be unplugged", async () => {
    const sizeBytes = 3_000_000;
    const before = await lab.linkCounters("h2", "mig0");
    const receiver = lab.output("h2", [process.execPath, "-e", RECEIVE_ONE]);
    await lab.output("h1", [process.execPath, "-e", SEND, String(sizeBytes)]);
    expect(await receiver).toBe(String(sizeBytes));
    const after = await lab.linkCounters("h2", "mig0");
    expect(after.receivedBytes - before.receivedBytes).toBeGreaterThan(sizeBytes);

    await lab.link("h2", "down", "mig0");
    const cut = await lab.exec("h1", ["timeout", "1", "bash", "-c", ": </dev/tcp/h2-mig/9"]);
    expect(cut.code).toBe(124);
    const management = await lab.exec("h1", ["timeout", "5", "bash", "-c", ": </dev/tcp/h2/9"]);
    expect(management.stderr).toContain("Connection refused");
    await lab.link("h2", "up", "mig0");
  });

  it("run a guest that survives a new libvirtd, dies with the power, finds its data again and obeys its button", async () => {
    await startGuest(lab, "h1", { name: "web", knobs: ["lab.tick=200"] });
    const first = await lab.console("h1", "web");
    expect(first).toMatch(/CONFIG-DRIVE vdd type=iso9660/);
    expect(first).toMatch(/EPH-NEW vdb/);
    expect(first).toMatch(/SWAP vdc kib=16380/);
    const written = /MARKER-NEW vda2 boots=1 id=(\S+)/.exec(first)?.[1];
    expect(written).toBeDefined();

    await lab.restartLibvirtd("h1");
    expect(await lab.output("h1", ["virsh", "-q", "domstate", "web"])).toBe("running");

    const netNamespace = namespaceOf(await lab.pid("h1")) ?? "";
    expect(processesIn(netNamespace).length).toBeGreaterThan(2);
    await lab.kill("h1");
    expect(processesIn(netNamespace)).toEqual([]);

    await lab.start("h1");
    expect(await lab.output("h1", ["virsh", "-q", "domstate", "web"])).toBe("shut off");
    await lab.output("h1", ["virsh", "-q", "start", "web"]);
    const [, found] = await lab.waitForConsole("h1", "web", /MARKER-OK vda2 boots=2 id=(\S+)/);
    expect(found).toBe(written);
    await lab.waitForConsole("h1", "web", /EPH-OK vdb boots=2[\s\S]* READY/);

    await lab.output("h1", ["virsh", "-q", "shutdown", "web"]);
    await waitFor(async () => (await lab.output("h1", ["virsh", "-q", "domstate", "web"])) === "shut off", {
      deadlineMs: 120_000,
      what: "web is shut off",
    });
    const last = await lab.console("h1", "web");
    expect(last).toMatch(/POWEROFF-BEGIN acpi[\s\S]* POWEROFF\r?\n/);
  });

  it("end a command that takes too long, inside the host too", async () => {
    const marker = "987654";
    await expect(lab.exec("h1", ["sleep", marker], { timeoutMs: 500 })).rejects.toThrow(/not within 500 ms/);
    await waitFor(async () => (await lab.exec("h1", ["pgrep", "-f", `^sleep ${marker}`])).code === 1, {
      deadlineMs: PATIENCE_MS,
      what: "the command has ended in the host",
    });
  });
});

describe("a lab with Debian's own qemu.conf", () => {
  it("runs its guests as an ordinary user, not root", async () => {
    await using lab = await Lab.up({ id: "stock", hosts: 1, env: { ...BARE, LAB_QEMU: "stock" } });
    await startGuest(lab, "h1", { name: "web" });
    const user = await lab.output("h1", ["sh", "-c", "ps -o user:20= -p $(cat /run/libvirt/qemu/web.pid)"]);
    expect(user.trim()).toBe("libvirt-qemu");
  });
});

describe("down", () => {
  it("leaves no process, namespace, mount, control group or file", async () => {
    const lab = await Lab.up({ id: "traces", hosts: 1, env: BARE });
    await defineGuest(lab, "h1", { name: "web" });
    await lab.output("h1", ["virsh", "-q", "start", "web"]);
    const netNamespace = namespaceOf(await lab.pid("h1")) ?? "";
    const mounts = () => readFileSync("/proc/self/mounts", "utf8");
    const traces = () => [
      processesIn(netNamespace).length > 0,
      mounts().includes(lab.id),
      controlGroupsOf(lab.id).length > 0,
      existsSync(lab.directory),
    ];

    expect(traces()).toEqual([true, true, true, true]);
    await lab.down();
    expect(traces()).toEqual([false, false, false, false]);
  });
});

const RECEIVE_ONE = `
  const server = require("node:net").createServer(socket => {
    let received = 0;
    socket.on("data", chunk => { received += chunk.length; });
    socket.on("end", () => { process.stdout.write(String(received)); socket.end(); server.close(); });
  });
  server.listen(5000, "0.0.0.0");`;

const SEND = `
  const net = require("node:net");
  const bytes = Buffer.alloc(Number(process.argv[1]));
  const connect = () => {
    const socket = net.connect(5000, "h2-mig", () => socket.end(bytes));
    socket.on("error", () => setTimeout(connect, 50));
    socket.resume();
  };
  connect();`;
