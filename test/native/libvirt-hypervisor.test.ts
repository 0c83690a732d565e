/** The agent's edge to libvirt on the test driver: everything that driver can do. */

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";
import { Fault, type FaultCode } from "../../proto/fault.js";

const UUID = "11111111-2222-4333-8444-555555555555";
const XML = `<domain type='test'><name>web</name><uuid>${UUID}</uuid><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;
const OPTIONS = {
  uri: "test:///default",
  controlLimitMs: 5_000,
  longLimitMs: 5_000,
  keepAlive: { intervalSeconds: 5, count: 3 },
};

let hypervisor: LibvirtHypervisor;

beforeAll(async () => {
  hypervisor = await LibvirtHypervisor.open(OPTIONS);
});

afterEach(async () => {
  const domain = await hypervisor.findDomain(UUID);
  if (domain === undefined) return;
  if (domain.state !== "shut-off") await hypervisor.destroy(UUID, { graceful: false });
  await hypervisor.undefine(UUID);
});

afterAll(() => hypervisor.close());

async function faultOf(work: Promise<unknown>): Promise<{ code: FaultCode; message: string }> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Fault);
  return thrown as Fault;
}

describe("a domain", () => {
  it("is defined, found, started, stopped and undefined", async () => {
    const stored = await hypervisor.define(XML);
    expect(stored).toContain(`<uuid>${UUID}</uuid>`);
    expect(await hypervisor.findDomainByName("web")).toMatchObject({ uuid: UUID, state: "shut-off" });
    await hypervisor.start(UUID, { paused: false });
    expect(await hypervisor.findDomain(UUID)).toMatchObject({
      state: "running",
      persistent: true,
      hasManagedSave: false,
    });
    await hypervisor.shutdown(UUID);
    expect((await hypervisor.listDomains()).map(({ name }) => name).sort()).toEqual(["test", "web"]);
    await hypervisor.undefine(UUID);
    expect(await hypervisor.findDomain(UUID)).toBeUndefined();
    expect(await hypervisor.findDomainByName("web")).toBeUndefined();
  });

  it("keeps Ferry's metadata in its inactive configuration, and loses it on request", async () => {
    await hypervisor.define(XML);
    await hypervisor.setMetadata(UUID, "<server incarnation='7'/>");
    const xml = await hypervisor.domainXml(UUID, "inactive");
    expect(xml).toMatch(
      /<ferry:server xmlns:ferry="https:\/\/ferry.dev\/xmlns\/domain\/1" incarnation="7"\/>/,
    );
    expect(await hypervisor.define(xml)).toBe(xml);
    await hypervisor.setMetadata(UUID, undefined);
    expect(await hypervisor.domainXml(UUID, "inactive")).not.toContain("ferry");
  });

  it("remembers autostart", async () => {
    await hypervisor.define(XML);
    await hypervisor.setAutostart(UUID, true);
    expect(await hypervisor.findDomain(UUID)).toMatchObject({ autostart: true });
  });

  it("has no snapshots, checkpoints or jobs when it is new and off", async () => {
    await hypervisor.define(XML);
    expect(await hypervisor.snapshotXmls(UUID)).toEqual([]);
    expect(await hypervisor.checkpointXmls(UUID)).toEqual([]);
    expect(await hypervisor.runningJobs(UUID)).toEqual({ blockJobs: [], domainJob: false });
  });

  it("tells its life as events, in order", async () => {
    const uuid = "11111111-2222-4333-8444-666666666666";
    const seen: string[] = [];
    const stop = hypervisor.onDomainEvent(event => event.uuid === uuid && seen.push(event.event));
    await hypervisor.define(XML.replace(UUID, uuid).replace("web", "observed"));
    await hypervisor.start(uuid, { paused: false });
    await hypervisor.destroy(uuid, { graceful: true });
    await hypervisor.undefine(uuid);
    for (const end = Date.now() + 20_000; seen.length < 4 && Date.now() < end; ) await delay(5);
    stop();
    expect(seen).toEqual(["defined", "started", "stopped", "undefined"]);
  });
});

describe("a host", () => {
  it("answers versions, hostname and capabilities", async () => {
    expect((await hypervisor.versions()).libvirt).toBeGreaterThanOrEqual(8_000_000);
    expect(await hypervisor.hostname()).not.toBe("");
    expect(await hypervisor.capabilities()).toContain("<capabilities>");
  });

  it("answers pools and networks", async () => {
    expect(await hypervisor.storagePools()).toEqual([
      {
        name: "default-pool",
        type: "dir",
        path: "/default-pool",
        active: true,
        capacityBytes: expect.any(Number),
        availableBytes: expect.any(Number),
      },
    ]);
    expect(await hypervisor.networks()).toEqual([{ name: "default", active: true, bridge: "virbr0" }]);
  });
});

describe("a failure", () => {
  it("is a fault that says what was attempted and libvirt's reason", async () => {
    const unknown = "99999999-2222-4333-8444-555555555555";
    const missing = await faultOf(hypervisor.start(unknown, { paused: false }));
    expect(missing).toMatchObject({ code: "not-found", message: `start ${unknown}: Domain not found` });
    await hypervisor.define(XML);
    expect(await faultOf(hypervisor.define("<domain type='test'>"))).toMatchObject({
      code: "invalid-argument",
    });
    expect(await faultOf(hypervisor.destroy(UUID, { graceful: false }))).toMatchObject({
      code: "conflict",
    });
    expect(await faultOf(hypervisor.domainCapabilities({}))).toMatchObject({ code: "unsupported" });
  });

  it("is unreachable when no daemon listens", async () => {
    const uri = "qemu+unix:///system?socket=/nonexistent";
    const fault = await faultOf(LibvirtHypervisor.open({ ...OPTIONS, uri }));
    expect(fault.code).toBe("unreachable");
    expect(fault.message).toContain(`connect to ${uri}: `);
  });

  it("is unreachable after close", async () => {
    const other = await LibvirtHypervisor.open(OPTIONS);
    await other.close();
    expect(await faultOf(other.hostname())).toMatchObject({ code: "unreachable" });
  });
});
