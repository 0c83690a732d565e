/** The agent's edge to libvirt on a real daemon with real QEMU processes: what the test driver cannot show. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";
import { loadLibvirt } from "../../native/lib/libvirt.js";
import * as virt from "../../native/lib/libvirt-constants.js";
import { Fault } from "../../proto/fault.js";
import { canRunPrivateLibvirtd, PrivateLibvirtd, until } from "./private-libvirtd.js";

const UUID = "11111111-2222-4333-8444-777777777777";

const diskXml = (file: string) =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${file}'/><target dev='vda' bus='virtio'/></disk>`;

const domainXml = (name: string, firmware = "", devices = "") => `<domain type='qemu'>
  <name>${name}</name><uuid>${UUID}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${firmware}</os><features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/><memballoon model='none'/>${devices}</devices>
</domain>`;

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown === undefined) return "no fault";
  return thrown instanceof Fault ? thrown.code : String(thrown);
};

describe.runIf(canRunPrivateLibvirtd)("the hypervisor over a real libvirtd", () => {
  let daemon: PrivateLibvirtd;
  let hypervisor: LibvirtHypervisor;
  const stateOf = async () => (await hypervisor.findDomain(UUID))?.state;

  beforeAll(async () => {
    daemon = await PrivateLibvirtd.start();
    hypervisor = await LibvirtHypervisor.open({
      uri: daemon.uri,
      controlLimitMs: 5_000,
      longLimitMs: 40_000,
      keepAlive: { intervalSeconds: 5, count: 3 },
    });
  });

  afterEach(async () => {
    const domain = await hypervisor.findDomain(UUID);
    if (domain === undefined) return;
    if (domain.state !== "shut-off") await hypervisor.destroy(UUID, { graceful: false });
    await hypervisor.undefine(UUID);
  });

  afterAll(async () => {
    await hypervisor.close();
    await daemon.stop();
  });

  it("describes host and emulator", async () => {
    expect((await hypervisor.versions()).qemu).toBeGreaterThan(5_000_000);
    expect(await hypervisor.domainCapabilities({ arch: "x86_64", virttype: "qemu" })).toContain(
      "<domainCapabilities>",
    );
    const query = { arch: "x86_64", virttype: "qemu" };
    expect(
      await hypervisor.compareHypervisorCpu(query, "<cpu mode='custom'><model>qemu64</model></cpu>"),
    ).toMatch(/identical|superset|incompatible/);
    expect(await hypervisor.storagePools()).toEqual([]);
    expect(await hypervisor.networks()).toEqual([]);
  });

  it("starts a guest paused, resumes it, sees no jobs, and stops it gracefully", async () => {
    const stored = await hypervisor.define(domainXml("guest"));
    expect(await hypervisor.domainXml(UUID, "inactive")).toBe(stored);
    await hypervisor.start(UUID, { paused: true });
    expect(await stateOf()).toBe("paused");
    await hypervisor.resume(UUID);
    expect(await stateOf()).toBe("running");
    expect(await hypervisor.runningJobs(UUID)).toEqual({ blockJobs: [], domainJob: false });
    expect(await hypervisor.snapshotXmls(UUID)).toEqual([]);
    expect(await hypervisor.checkpointXmls(UUID)).toEqual([]);
    expect(await codeOf(hypervisor.start(UUID, { paused: false }))).toBe("conflict");
    await hypervisor.destroy(UUID, { graceful: true });
    expect(await stateOf()).toBe("shut-off");
  });

  it("changes metadata of a running guest in its inactive configuration only", async () => {
    await hypervisor.define(domainXml("guest"));
    await hypervisor.start(UUID, { paused: true });
    await hypervisor.setMetadata(UUID, "<server epoch='3'/>");
    expect(await hypervisor.domainXml(UUID, "inactive")).toContain('epoch="3"');
    expect(await hypervisor.domainXml(UUID, "live")).not.toContain("epoch");
  });

  it("finds a running block job, and sees checkpoints and snapshots", async () => {
    const disk = join(daemon.directory, "disk.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "64M"]);
    await hypervisor.define(domainXml("guest", "", diskXml(disk)));
    await hypervisor.start(UUID, { paused: true });
    const connect = await loadLibvirt().open(daemon.uri, 0);
    const domain = await connect.lookupByUUID(UUID);
    try {
      await domain.blockResize("vda", 128 * 2 ** 20, virt.VIR_DOMAIN_BLOCK_RESIZE_BYTES);
      const [stats] = await connect.getAllDomainStats(0, 0);
      expect(stats?.stats["block.0.capacity"]).toBe(128n * 2n ** 20n);
      await domain.checkpointCreateXML("<domaincheckpoint><name>c1</name></domaincheckpoint>", 0);
      const [checkpoint] = await hypervisor.checkpointXmls(UUID);
      expect(checkpoint).toContain("<name>c1</name>");
      expect(await domain.blockJobInfo("vda", 0)).toBeUndefined();
      daemon.inside(`virsh -c '${daemon.uri}' blockcopy guest vda ${disk}.copy --transient-job --wait`);
      expect(await domain.blockJobInfo("vda", 0)).toMatchObject({ end: expect.any(BigInt) });
      expect(await hypervisor.runningJobs(UUID)).toEqual({ blockJobs: ["vda"], domainJob: false });
    } finally {
      await connect.close();
      await hypervisor.destroy(UUID, { graceful: false });
      daemon.inside(`virsh -c '${daemon.uri}' undefine --checkpoints-metadata guest`);
    }
  });

  it("refuses to undefine a guest with checkpoints rather than clean them up", async () => {
    const disk = join(daemon.directory, "other.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "64M"]);
    await hypervisor.define(domainXml("guest", "", diskXml(disk)));
    await hypervisor.start(UUID, { paused: true });
    daemon.inside(`virsh -c '${daemon.uri}' checkpoint-create-as guest c1`);
    await hypervisor.destroy(UUID, { graceful: true });
    expect(await codeOf(hypervisor.undefine(UUID))).toBe("conflict");
    daemon.inside(`virsh -c '${daemon.uri}' undefine --checkpoints-metadata guest`);
  });

  it("keeps the NVRAM file when it undefines", async () => {
    const nvram = join(daemon.directory, "guest_VARS.fd");
    const firmware = `<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>${nvram}</nvram>`;
    await hypervisor.define(domainXml("guest", firmware));
    await hypervisor.start(UUID, { paused: true });
    await hypervisor.destroy(UUID, { graceful: false });
    await hypervisor.undefine(UUID);
    expect(await hypervisor.findDomain(UUID)).toBeUndefined();
    expect(existsSync(nvram)).toBe(true);
  });

  it("says refused when the hook refused, with the hook's own words", async () => {
    await hypervisor.define(domainXml("refused"));
    await expect(hypervisor.start(UUID, { paused: true })).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(/^start .*not here/s),
    });
  });

  it("says already-exists when the name belongs to another domain", async () => {
    await hypervisor.define(domainXml("guest"));
    const other = domainXml("guest").replace(UUID, "11111111-2222-4333-8444-888888888888");
    expect(await codeOf(hypervisor.define(other))).toBe("already-exists");
  });

  it("rejects a graceful stop with timeout when QEMU does not go, and answers others meanwhile", async () => {
    await hypervisor.define(domainXml("guest"));
    await hypervisor.start(UUID, { paused: true });
    daemon.inside("kill -STOP $(cat /run/libvirt/qemu/guest.pid)");
    const stuck = [
      codeOf(hypervisor.destroy(UUID, { graceful: true })),
      ...Array.from({ length: 6 }, () => codeOf(hypervisor.shutdown(UUID))),
    ];
    const start = Date.now();
    await hypervisor.hostname();
    expect(Date.now() - start).toBeLessThan(1_000);
    expect(await stuck[0]).toBe("timeout");
    expect(await stateOf()).toBe("paused");
    await hypervisor.destroy(UUID, { graceful: false });
    expect(await stateOf()).toBe("shut-off");
    await Promise.all(stuck);
  });

  it("tells when the daemon is lost and restored, and goes on with events and guests", async () => {
    await hypervisor.define(domainXml("guest"));
    await hypervisor.start(UUID, { paused: true });
    const told: string[] = [];
    const stopConnection = hypervisor.onConnection(state => told.push(state));
    const events: string[] = [];
    const stopEvents = hypervisor.onDomainEvent(({ event }) => events.push(event));
    daemon.kill();
    await until(() => told.includes("lost"), 20_000);
    expect(await codeOf(hypervisor.hostname())).toMatch(/unreachable|no fault/);
    await until(() => told.includes("restored"), 20_000);
    expect(told).toEqual(["lost", "restored"]);
    expect(await stateOf()).toBe("paused");
    await hypervisor.resume(UUID);
    await until(() => events.includes("resumed"), 20_000);
    stopConnection();
    stopEvents();
  });
});
