/** The bindings against libvirt's built-in test driver, which lives inside this process. */

import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Connect, loadLibvirt } from "../../native/lib/libvirt.js";
import * as virt from "../../native/lib/libvirt-constants.js";
import { LibvirtError } from "../../native/lib/libvirt-error.js";

const domainXml = (name: string) =>
  `<domain type='test'><name>${name}</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;

async function until(condition: () => boolean, limitMs = 20_000): Promise<void> {
  for (const end = Date.now() + limitMs; !condition(); await delay(5)) {
    if (Date.now() > end) throw new Error("the condition never held");
  }
}

const failureOf = async (work: Promise<unknown>): Promise<LibvirtError> => {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(LibvirtError);
  return thrown as LibvirtError;
};

const libvirt = loadLibvirt();
let connect: Connect;

beforeEach(async () => {
  connect = await libvirt.open("test:///default", 0);
});

afterEach(async () => {
  // The driver's state is shared by all connections of the process.
  for (const domain of await connect.listAllDomains(0)) {
    if (domain.name === "test") continue;
    if ((await domain.getState()).state !== virt.VIR_DOMAIN_SHUTOFF) await domain.destroy(0);
    await domain.undefine(0);
  }
  await connect.close();
});

describe("a connection", () => {
  it("answers what the host is", async () => {
    expect(await connect.getLibVersion()).toBeGreaterThanOrEqual(8_000_000);
    expect(await connect.getHostname()).not.toBe("");
    expect(await connect.getCapabilities()).toContain("<capabilities>");
    expect(await connect.isAlive()).toBe(true);
  });

  it("lists networks and storage pools", async () => {
    expect(await connect.listAllNetworks(0)).toEqual([
      { name: "default", uuid: expect.any(String), active: true, bridge: "virbr0" },
    ]);
    const [pool] = await connect.listAllStoragePools(0);
    expect(pool?.name).toBe("default-pool");
    expect(await pool?.getInfo()).toMatchObject({ state: virt.VIR_STORAGE_POOL_RUNNING });
    expect(typeof (await pool?.getInfo())?.capacity).toBe("bigint");
  });

  it("answers the statistics of all domains in one call", async () => {
    const [stats] = await connect.getAllDomainStats(0, 0);
    expect(stats).toMatchObject({ name: "test", stats: { "state.state": virt.VIR_DOMAIN_RUNNING } });
  });

  it("can be closed twice, and then refuses every call at once", async () => {
    const other = await libvirt.open("test:///default", 0);
    const domain = await other.lookupByName("test");
    await other.close();
    await other.close();
    expect(() => other.getHostname()).toThrow(expect.objectContaining({ code: "ERR_HANDLE_CLOSED" }));
    expect(() => domain.getState()).toThrow(expect.objectContaining({ code: "ERR_HANDLE_CLOSED" }));
  });

  it("lets a call that is in flight finish when it is closed", async () => {
    const other = await libvirt.open("test:///default", 0);
    const pending = Promise.all(Array.from({ length: 50 }, () => other.getCapabilities()));
    await other.close();
    expect(await pending).toHaveLength(50);
  });

  it("throws at once on an argument of the wrong type", () => {
    expect(() => connect.lookupByName(7 as unknown as string)).toThrow(TypeError);
    expect(() => connect.listAllDomains(-1)).toThrow(TypeError);
    expect(() => connect.lookupByName("a\0b")).toThrow(TypeError);
  });
});

describe("a domain", () => {
  it("lives from define to undefine", async () => {
    const domain = await connect.defineXML(domainXml("one"), 0);
    expect(domain.id).toBe(-1);
    expect(await domain.isPersistent()).toBe(true);
    await domain.create(0);
    expect((await domain.getState()).state).toBe(virt.VIR_DOMAIN_RUNNING);
    await domain.suspend();
    expect((await domain.getState()).state).toBe(virt.VIR_DOMAIN_PAUSED);
    await domain.resume();
    await domain.shutdown(0);
    expect((await domain.getState()).state).toBe(virt.VIR_DOMAIN_SHUTOFF);
    await domain.undefine(0);
    expect((await failureOf(connect.lookupByName("one"))).code).toBe(virt.VIR_ERR_NO_DOMAIN);
  });

  it("keeps autostart and metadata", async () => {
    const domain = await connect.defineXML(domainXml("one"), 0);
    await domain.setAutostart(true);
    expect(await domain.getAutostart()).toBe(true);
    const uri = "https://example.test/1";
    await domain.setMetadata(
      virt.VIR_DOMAIN_METADATA_ELEMENT,
      "<a/>",
      "key",
      uri,
      virt.VIR_DOMAIN_AFFECT_CONFIG,
    );
    expect(await domain.getXMLDesc(virt.VIR_DOMAIN_XML_INACTIVE)).toContain(uri);
    expect(await domain.getMetadata(virt.VIR_DOMAIN_METADATA_ELEMENT, uri, 0)).toContain("<a");
  });

  it("answers 64-bit facts as bigint", async () => {
    const domain = await connect.lookupByName("test");
    const info = await domain.getInfo();
    expect(info.maxMemoryKib).toBe(8_388_608n);
    expect(typeof info.cpuTimeNs).toBe("bigint");
  });

  it("takes and lists a snapshot", async () => {
    const domain = await connect.defineXML(domainXml("one"), 0);
    const name = await domain.snapshotCreateXML("<domainsnapshot><name>s1</name></domainsnapshot>", 0);
    expect(name).toBe("s1");
    const [xml] = await domain.listAllSnapshots(0, 0);
    expect(xml).toContain("<name>s1</name>");
    await domain.undefine(virt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA);
  });

  it("refuses use after it was freed", async () => {
    const domain = await connect.lookupByName("test");
    domain.free();
    domain.free();
    expect(() => domain.name).toThrow(expect.objectContaining({ code: "ERR_HANDLE_CLOSED" }));
  });
});

describe("an error", () => {
  it("carries libvirt's code, domain, level and the function that failed", async () => {
    const error = await failureOf(connect.lookupByName("nobody"));
    expect(error).toMatchObject({
      code: virt.VIR_ERR_NO_DOMAIN,
      domain: 12,
      level: 2,
      op: "virDomainLookupByName",
    });
    expect(error.message).toBe("Domain not found");
  });

  it("belongs to its own call among many at once", async () => {
    const failures = Array.from({ length: 40 }, (_, index) =>
      index % 2 === 0
        ? failureOf(connect.lookupByName(`nobody-${index}`))
        : failureOf(connect.defineXML(`<domain type='test'><broken-${index}`, 0)),
    );
    for (const [index, error] of (await Promise.all(failures)).entries()) {
      expect(error.op).toBe(index % 2 === 0 ? "virDomainLookupByName" : "virDomainDefineXMLFlags");
    }
  });

  it("says why a connection could not be opened", async () => {
    const error = await failureOf(libvirt.open("qemu+unix:///system?socket=/nonexistent", 0));
    expect(error).toMatchObject({ code: virt.VIR_ERR_SYSTEM_ERROR, op: "virConnectOpenAuth" });
  });
});

describe("lifecycle events", () => {
  it("arrive all and in order", async () => {
    const seen: string[] = [];
    await connect.onLifecycle(({ name, event }) => seen.push(`${name} ${event}`));
    const domain = await connect.defineXML(domainXml("one"), 0);
    for (let round = 0; round < 20; round++) {
      await domain.create(0);
      await domain.destroy(0);
    }
    await domain.undefine(0);
    await until(() => seen.at(-1) === `one ${virt.VIR_DOMAIN_EVENT_UNDEFINED}`);
    const round = [`one ${virt.VIR_DOMAIN_EVENT_STARTED}`, `one ${virt.VIR_DOMAIN_EVENT_STOPPED}`];
    expect(seen).toEqual([
      `one ${virt.VIR_DOMAIN_EVENT_DEFINED}`,
      ...Array.from({ length: 20 }, () => round).flat(),
      `one ${virt.VIR_DOMAIN_EVENT_UNDEFINED}`,
    ]);
  });

  it("end with removeListener, after which another listener may follow", async () => {
    const removed: number[] = [];
    const kept: number[] = [];
    const id = await connect.onLifecycle(({ event }) => removed.push(event));
    expect((await failureOf(connect.onLifecycle(() => undefined))).message).toMatch(/already tracked/);
    await connect.removeListener(id);
    await connect.onLifecycle(({ event }) => kept.push(event));
    const domain = await connect.defineXML(domainXml("one"), 0);
    await domain.undefine(0);
    await until(() => kept.length === 2);
    expect(removed).toEqual([]);
  });
});

describe("the pool", () => {
  it("keeps short calls short while long ones are stuck", async () => {
    const stuck = Array.from({ length: 20 }, () => libvirt.block(700));
    const start = Date.now();
    await connect.isAlive();
    expect(Date.now() - start).toBeLessThan(400);
    expect(libvirt.poolStats().slow.threads).toBeGreaterThanOrEqual(20);
    await Promise.all(stuck);
  });
});
