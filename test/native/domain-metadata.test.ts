/** Ferry's mark as real libvirt takes it and gives it back, through its test driver. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { readDomain } from "../../agent/domain/domain-xml.js";
import { ferryMetadataToSet, type Incarnation, readIncarnation } from "../../agent/domain/ferry-metadata.js";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";

const UUID = "3f2b1c4e-5a6d-4e7f-8091-a2b3c4d5e6f9";
const XML = `<domain type='test'><name>marked</name><uuid>${UUID}</uuid><metadata><app:info xmlns:app="urn:app"/></metadata><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;

let hypervisor: LibvirtHypervisor;

beforeAll(async () => {
  hypervisor = await LibvirtHypervisor.open({
    uri: "test:///default",
    controlLimitMs: 5_000,
    longLimitMs: 5_000,
    keepAlive: { intervalSeconds: 5, count: 3 },
  });
  await hypervisor.define(XML);
});

afterAll(async () => {
  await hypervisor.undefine(UUID);
  await hypervisor.close();
});

it("a domain that libvirt marks is read as that incarnation, also when it is marked again", async () => {
  const marks: Incarnation[] = [
    { server: UUID, migration: "home", side: "source", epoch: 1 },
    { server: UUID, migration: "m-2", side: "target", epoch: 2 },
  ];
  for (const mark of marks) {
    await hypervisor.setMetadata(UUID, ferryMetadataToSet(mark));
    const xml = await hypervisor.domainXml(UUID, "inactive");
    expect(readIncarnation(readDomain(xml).root)).toEqual(mark);
    expect(xml).toContain("app:info");
  }
  await hypervisor.setMetadata(UUID, undefined);
  const xml = await hypervisor.domainXml(UUID, "inactive");
  expect(readIncarnation(readDomain(xml).root)).toBeUndefined();
});
