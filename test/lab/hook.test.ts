/** The hook and the fence with a real libvirtd, real QEMU guests and real power cuts, on one host without Ferry's daemons. */

import { chmod, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findQemuProcesses } from "../../agent/disk/process-watch.js";
import { canonicalXml } from "../../agent/domain/canonical-xml.js";
import { type FenceEdges, type FenceOrder, fence } from "../../agent/fence/fence.js";
import type { FenceJournal, FenceRecord } from "../../agent/fence/fence-record.js";
import { guestFiles } from "../../agent/fence/guest-file.js";
import { HOOK_NOT_LOADED, PROBE_UUID, proveHook } from "../../agent/fence/hook-proof.js";
import { HookWatch } from "../../agent/fence/hook-watch.js";
import { hookPath, installHook } from "../../agent/fence/install-hook.js";
import { readRanMark } from "../../agent/fence/ran-mark.js";
import type { FenceStatement } from "../../agent/fence/receipt-facts.js";
import { withStartToken } from "../../agent/fence/start-token.js";
import { unfence } from "../../agent/fence/unfence.js";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { Lab, waitFor } from "./lab.js";

const UUID = "11111111-2222-4333-8444-555555555555";
const HOME = `${UUID}/home/source/1`;
const DISK = "/var/lib/libvirt/images/web-3.raw";

const NVRAM = "/var/lib/libvirt/qemu/nvram/web-3_VARS.fd";
const TPM = `/var/lib/libvirt/swtpm/${UUID}`;

const FIRMWARE = `<loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
  <nvram template="/usr/share/OVMF/OVMF_VARS_4M.fd">${NVRAM}</nvram>`;
const VTPM = `<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>`;

const domainXml = (incarnation: string, firmware = "", devices = ""): string => `
  <domain type="qemu"><name>web-3</name><uuid>${UUID}</uuid>
    <metadata><ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1">
      <ferry:incarnation id="${incarnation}"/></ferry:ferry></metadata>
    <memory unit="MiB">32</memory><vcpu>1</vcpu>
    <os><type arch="x86_64" machine="pc-q35-7.2">hvm</type>${firmware}</os><features><acpi/></features>
    <devices>${devices}<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${DISK}"/>
      <target dev="vda" bus="virtio"/></disk></devices></domain>`;

let lab: Lab;
/** The host's root directory and libvirt, seen from outside; both are others after a power cut. */
let root: string;
let hypervisor: LibvirtHypervisor;

const connect = async (): Promise<void> => {
  root = `/proc/${await lab.pid("h1")}/root`;
  hypervisor = await LibvirtHypervisor.open({
    uri: `qemu:///system?socket=${root}/run/libvirt/libvirt-sock`,
    controlLimitMs: 10_000,
    longLimitMs: 30_000,
    keepAlive: { intervalSeconds: 1, count: 3 },
  });
};

const stateDir = (): string => join(root, "var/lib/ferry");
const runDir = (): string => join(root, "run/ferry");
const hookDir = (): string => join(root, "etc/libvirt/hooks/qemu.d");
const hookEdges = () => ({ hypervisor, guestFiles: guestFiles(stateDir()), clock: Date.now });
const place = () => ({ hookDir: hookDir(), stateDir: "/var/lib/ferry", runDir: "/run/ferry" });
const virsh = (...words: string[]) => lab.exec("h1", ["virsh", "-q", ...words]);
const stateOf = async () => (await hypervisor.findDomain(UUID))?.state;

/** This machine's /proc shows the host's processes too, and no other test has this uuid. */
const qemuProcesses = async () => (await findQemuProcesses("/proc", UUID)).found.map(({ pid }) => pid);

const none = () => Promise.reject(new Error("there is none"));
const noBlockDevices = { read: none, writes: none, holders: async () => [] };

const records = new Map<string, FenceRecord>();
const journal: FenceJournal = {
  find: async ({ migration, incarnation }) => records.get(`${migration} ${incarnation}`),
  put: async record => void records.set(`${record.migration} ${record.incarnation}`, record),
};

const edges = (): FenceEdges => ({
  hypervisor,
  files: nativeFiles(),
  blockDevices: noBlockDevices,
  guestFiles: guestFiles(stateDir()),
  journal,
  findProcesses: qemuProcesses,
  incarnationOf: xml => /incarnation id=["']([^"']*)/.exec(xml)?.[1],
  canonicalXml,
  clock: Date.now,
  host: "h1",
  bootId: "boot",
});

const order = (migration: string): FenceOrder => ({
  server: UUID,
  migration,
  incarnation: HOME,
  epoch: 2,
  peerHost: "h2",
  files: [{ id: "vda/0", path: join(root, DISK), mode: "copied" }],
});

const mirror = (migration: string): FenceStatement => ({
  kind: "mirror",
  server: UUID,
  migration,
  incarnation: `${UUID}/${migration}/target/2`,
  epoch: 2,
  host: "h2",
  peerHost: "h1",
  bootId: "other",
  at: 1,
  facts: { domain: "undefined", running: false, filesOpen: false, refusesBelowEpoch: 2 },
  files: [],
});

/** For what needs the hook, also when it is run by itself. */
async function requireHook(): Promise<void> {
  const { proven } = await installHook(place(), () => proveHook(hookEdges()));
  if (proven) return;
  await lab.restartLibvirtd("h1");
  await waitFor(async () => (await proveHook(hookEdges())).proven, {
    deadlineMs: 120_000,
    what: "the proof",
  });
}

/** The managed guest, shut off and allowed, whatever the test before left. */
async function freshGuest(): Promise<void> {
  await virsh("destroy", "web-3");
  await waitFor(async () => (await qemuProcesses()).length === 0, {
    deadlineMs: 120_000,
    what: "no QEMU is left",
  });
  await virsh("undefine", "web-3", "--nvram");
  await rm(join(stateDir(), "ran", UUID), { force: true });
  await lab.output("h1", ["sh", "-c", `rm -f ${DISK}*; truncate -s 8M ${DISK}`]);
  await hypervisor.define(domainXml(HOME));
  await guestFiles(stateDir()).allow(UUID, HOME);
}

beforeAll(async () => {
  lab = await Lab.up({ id: "hook", hosts: 1, env: { LAB_BARE: "1" } });
  await connect();
});
afterAll(async () => {
  await hypervisor?.close();
  await lab?.down();
});

describe("a hook beside a running libvirtd", () => {
  it("is not called, which the self-test says; after a restart it is proven without being asked", async () => {
    using watch = new HookWatch(hookEdges());
    const installed = await installHook(place(), () => watch.prove());
    expect(installed).toEqual({ changed: true, proven: false, problem: HOOK_NOT_LOADED });
    expect(await hypervisor.findDomain(PROBE_UUID)).toBeUndefined();
    await lab.restartLibvirtd("h1");
    await waitFor(() => watch.proof.proven, { deadlineMs: 120_000, what: "the hook is proven" });
    expect(await hypervisor.findDomain(PROBE_UUID)).toBeUndefined();
  });

  it("that lost its mode lets every start through, which the self-test finds", async () => {
    await chmod(hookPath(hookDir()), 0o644);
    expect(await proveHook(hookEdges())).toMatchObject({ proven: false });
    await chmod(hookPath(hookDir()), 0o755);
    expect(await proveHook(hookEdges())).toMatchObject({ proven: true });
  });
});

describe("a managed guest", () => {
  beforeAll(requireHook);
  beforeEach(freshGuest);

  it("is known by its mark alone: the hook's stdin carries the metadata", async () => {
    await rm(join(stateDir(), "guests", UUID));
    const { code, stderr } = await virsh("start", "web-3");
    expect(code).toBe(1);
    expect(stderr).toMatch(/ferry: refused to prepare web-3: it is managed by Ferry but .* is missing/);
  });

  it("started by a person runs, and the mark says so; started by the agent leaves none", async () => {
    await withStartToken(runDir(), { server: UUID, incarnation: HOME }, () =>
      hypervisor.start(UUID, { paused: true }),
    );
    expect(await stateOf()).toBe("paused");
    expect(await readRanMark(stateDir(), UUID)).toBeUndefined();
    await hypervisor.destroy(UUID, { graceful: false });
    expect((await virsh("start", "web-3")).code).toBe(0);
    expect(await readRanMark(stateDir(), UUID)).toMatchObject({ incarnation: HOME });
  });

  it("of another incarnation does not start", async () => {
    await hypervisor.define(domainXml(`${UUID}/m9/target/9`));
    expect((await virsh("start", "web-3")).stderr).toMatch(/may run only .*\/home\/source\/1/);
  });

  it("does not come back from the save image of a former incarnation", async () => {
    await hypervisor.start(UUID, { paused: false });
    expect((await virsh("save", "web-3", "/var/lib/libvirt/images/web-3.save")).code).toBe(0);
    await guestFiles(stateDir()).allow(UUID, `${UUID}/m1/target/2`);
    const { code, stderr } = await virsh("restore", "/var/lib/libvirt/images/web-3.save");
    expect(code).toBe(1);
    expect(stderr).toMatch(/ferry: refused to restore web-3: .*may run only .*\/m1\/target\/2/);
    expect(await qemuProcesses()).toEqual([]);
  });

  it("that is denied while it runs survives a restart of libvirtd", async () => {
    await hypervisor.start(UUID, { paused: false });
    const [qemu] = await qemuProcesses();
    await guestFiles(stateDir()).deny(UUID, "it moved");
    await lab.restartLibvirtd("h1");
    await waitFor(async () => (await stateOf().catch(() => undefined)) === "running", {
      deadlineMs: 120_000,
      what: "libvirt knows the guest again",
    });
    expect(await qemuProcesses()).toEqual([qemu]);
  });
});

describe("a fenced source", () => {
  beforeAll(requireHook);
  beforeEach(freshGuest);

  it("does not start when its saved XML is defined again, nor by autostart after a power cut without an agent", async () => {
    const { record, hold } = await fence(edges(), order("m1"));
    await hold[Symbol.asyncDispose]();
    expect(await hypervisor.findDomain(UUID)).toBeUndefined();
    await hypervisor.define(record.saved?.inactiveXml ?? "");
    await lab.output("h1", ["sh", "-c", `truncate -s 8M ${DISK}`]);
    expect((await virsh("start", "web-3")).stderr).toMatch(
      /migration m1 holds this server back on this host/,
    );

    await hypervisor.setAutostart(UUID, true);
    await hypervisor.close();
    await lab.kill("h1");
    await lab.start("h1");
    await connect();
    const log = join(root, "var/log/libvirt/libvirtd.log");
    await waitFor(async () => /autostart.*web-3.*ferry: refused/is.test(await readFile(log, "utf8")), {
      deadlineMs: 120_000,
      what: "libvirtd says that the autostart was refused",
    });
    expect(await stateOf()).toBe("shut-off");
    expect(await qemuProcesses()).toEqual([]);
  });

  it("starts again once it was restored, with what it had", async () => {
    await hypervisor.setAutostart(UUID, true);
    const before = await hypervisor.domainXml(UUID, "inactive");
    const { hold } = await fence(edges(), order("m2"));
    await hold.requireUnbroken();
    await hold[Symbol.asyncDispose]();
    await unfence(edges(), order("m2"), { mirror: mirror("m2") });
    expect(await hypervisor.domainXml(UUID, "inactive")).toBe(before);
    expect(await hypervisor.findDomain(UUID)).toMatchObject({ autostart: true });
    await hypervisor.start(UUID, { paused: false });
    expect(await stateOf()).toBe("running");
  });

  it("gets its UEFI variables and its vTPM back as the files that they were", async () => {
    await hypervisor.define(domainXml(HOME, FIRMWARE, VTPM));
    await hypervisor.start(UUID, { paused: false });
    await hypervisor.destroy(UUID, { graceful: false });
    const inodes = () => lab.output("h1", ["stat", "-c", "%n %i", NVRAM, TPM, `${TPM}/tpm2/tpm2-00.permall`]);
    const [before, beforeXml] = [await inodes(), await hypervisor.domainXml(UUID, "inactive")];
    const files = [
      ...order("m4").files,
      { id: "nvram", path: join(root, NVRAM), mode: "copied" as const },
      { id: "tpm", path: join(root, TPM), mode: "copied" as const },
    ];
    const { hold, statement } = await fence(edges(), { ...order("m4"), files });
    expect(hold.descriptor("tpm", "tpm2/tpm2-00.permall")).toBeGreaterThan(2);
    await hold[Symbol.asyncDispose]();
    expect(statement.files.map(file => file.path.replace(root, ""))).toEqual(
      [DISK, NVRAM, TPM].map(path => `${path}.fenced-m4`),
    );
    expect((await lab.exec("h1", ["ls", NVRAM, TPM])).stdout, "nothing was made anew").toBe("");
    await unfence(edges(), order("m4"), { mirror: mirror("m4") });
    expect(await inodes()).toBe(before);
    expect(await hypervisor.domainXml(UUID, "inactive")).toBe(beforeXml);
    await hypervisor.start(UUID, { paused: false });
  });

  it("is not fenced while a QEMU that libvirt has lost still writes to its disk", async () => {
    await hypervisor.start(UUID, { paused: false });
    await lab.output("h1", ["sh", "-c", "kill -9 $(cat /run/libvirtd.pid); rm /run/libvirt/qemu/web-3.xml"]);
    await lab.restartLibvirtd("h1");
    await waitFor(async () => (await stateOf().catch(() => undefined)) === "shut-off", {
      deadlineMs: 120_000,
      what: "libvirt believes that the guest is off",
    });
    const orphans = await qemuProcesses();
    try {
      await expect(fence(edges(), order("m3"))).rejects.toThrow(
        /a QEMU of .* runs that libvirt does not know/,
      );
      const blind = { ...edges(), findProcesses: async () => [] };
      await expect(fence(blind, order("m3"))).rejects.toThrow(/web-3.raw is open in another process/);
    } finally {
      for (const pid of orphans) process.kill(pid, "SIGKILL");
    }
    expect(orphans).toHaveLength(1);
  });
});
