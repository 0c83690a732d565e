import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDomainXml, type NewDomain } from "../../../agent/domain/create-domain-xml.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { readIncarnation } from "../../../agent/domain/ferry-metadata.js";
import { hostPaths } from "../../../agent/domain/host-paths.js";
import { UUID } from "./fixtures.js";

const server: NewDomain = {
  name: "web-1",
  uuid: UUID,
  incarnation: { server: UUID, migration: "home", side: "source", epoch: 1 },
  vcpus: 2,
  ramMib: 512,
  arch: "x86_64",
  machine: "pc-q35-7.2",
  emulator: "/usr/bin/qemu-system-x86_64",
  virttype: "qemu",
  disks: [
    { role: "root", path: "/pool/web-1/root", format: "qcow2" },
    { role: "ephemeral0", path: "/pool/web-1/ephemeral0", format: "raw" },
    { role: "swap", path: "/pool/web-1/swap", format: "raw" },
  ],
  interfaces: [
    { mac: "52:54:00:00:00:01", connection: { bridge: "br0" } },
    { mac: "52:54:00:00:00:02", connection: { network: "lan" } },
  ],
  firmware: "efi",
  vtpm: true,
  serialLogPath: "/pool/web-1/console.log",
  configDrive: { path: "/pool/web-1/config", writable: true },
};

describe("the definition of a new server", () => {
  const domain = readDomain(createDomainXml(server));

  it("says what was asked for", () => {
    expect(domain).toMatchObject({
      name: "web-1",
      uuid: UUID,
      memoryKib: 512 * 1024,
      vcpus: 2,
      virttype: "qemu",
      machine: "pc-q35-7.2",
      tpmBackend: "emulator",
      firmware: { automatic: "efi" },
      characterFiles: ["/pool/web-1/console.log"],
      channels: ["org.qemu.guest_agent.0"],
    });
    expect(readIncarnation(domain.root)).toEqual(server.incarnation);
    expect(domain.interfaces.map(({ mac, bridge, network }) => [mac, bridge ?? network])).toEqual([
      ["52:54:00:00:00:01", "br0"],
      ["52:54:00:00:00:02", "lan"],
    ]);
  });

  it("has virtio disks with a declared format and their role as serial", () => {
    expect(domain.disks.map(disk => [disk.targetDev, disk.bus, disk.format, disk.serial])).toEqual([
      ["vda", "virtio", "qcow2", "root"],
      ["vdb", "virtio", "raw", "ephemeral0"],
      ["vdc", "virtio", "raw", "swap"],
      ["vdd", "virtio", "raw", "config"],
    ]);
  });

  it("names no host path that a migration would have to refuse", () => {
    expect(hostPaths(domain.root).filter(({ class: kind }) => kind === "unknown")).toEqual([]);
  });

  it("holds any text as text", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]{1,30}$/), text => {
        const { name } = readDomain(createDomainXml({ ...server, name: `x${text}x` }));
        expect(name).toBe(`x${text}x`);
      }),
    );
  });

  it.each(["q35", "pc", "virt"])("is refused with machine type %s, which moves with QEMU", machine => {
    expect(() => createDomainXml({ ...server, machine })).toThrow("no version");
  });
});
