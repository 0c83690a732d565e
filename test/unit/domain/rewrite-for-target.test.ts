import { describe, expect, it } from "vitest";
import { canonicalDifferences, canonicalXml } from "../../../agent/domain/canonical-xml.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { type Incarnation, readIncarnation } from "../../../agent/domain/ferry-metadata.js";
import { rewriteForTarget, type TargetMapping } from "../../../agent/domain/rewrite-for-target.js";
import { Fault } from "../../../proto/fault.js";
import { edit, inactiveXml, UUID } from "./fixtures.js";

const incarnation: Incarnation = { server: UUID, migration: "m-1", side: "target", epoch: 7 };
const images = "/var/lib/libvirt/images";

const mapping: TargetMapping = {
  disks: new Map([
    ["vda", "/pool/web-1/root"],
    ["vdb", "/pool/web-1/ephemeral0"],
    ["vdc", "/pool/web-1/swap"],
    ["sda", "/pool/web-1/cd.iso"],
  ]),
  emulator: "/usr/libexec/qemu-kvm",
  paths: new Map([
    [`${images}/console.log`, "/pool/web-1/console.log"],
    [`${images}/pty.log`, "/pool/web-1/pty.log"],
  ]),
  listenAddresses: new Map(),
  networks: new Map([["lan", "lan-2"]]),
  bridges: new Map([["br0", "br1"]]),
};

describe("the machine on the target", () => {
  const written = rewriteForTarget(inactiveXml, mapping, incarnation);

  it("differs from the source in the mapped places and Ferry's mark, and in nothing else", () => {
    const changes = canonicalDifferences(canonicalXml(inactiveXml), canonicalXml(written), 100);
    expect(changes.map(line => line.replace(/ append="on"/, ""))).toEqual([
      "- <emulator>/usr/bin/qemu-system-x86_64</emulator>",
      `- <source file="${images}/disk"/>`,
      `- <source file="${images}/disk.eph0"/>`,
      `- <source file="${images}/disk.swap"/>`,
      `- <source file="${images}/cd.iso"/>`,
      '- <source network="lan"/>',
      '- <source bridge="br0"/>',
      `- <source path="${images}/console.log"/>`,
      `- <log file="${images}/pty.log"/>`,
      `- <source path="${images}/console.log"/>`,
      '+ <ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1">',
      `+ <ferry:incarnation id="${UUID}/m-1/target/7"/>`,
      "+ </ferry:ferry>",
      "+ <emulator>/usr/libexec/qemu-kvm</emulator>",
      '+ <source file="/pool/web-1/root"/>',
      '+ <source file="/pool/web-1/ephemeral0"/>',
      '+ <source file="/pool/web-1/swap"/>',
      '+ <source file="/pool/web-1/cd.iso"/>',
      '+ <source network="lan-2"/>',
      '+ <source bridge="br1"/>',
      '+ <source path="/pool/web-1/console.log"/>',
      '+ <log file="/pool/web-1/pty.log"/>',
      '+ <source path="/pool/web-1/console.log"/>',
    ]);
  });

  it("is the same server, marked as its incarnation", () => {
    const [source, target] = [readDomain(inactiveXml), readDomain(written)];
    expect(readIncarnation(target.root)).toEqual(incarnation);
    expect(target.uuid).toBe(source.uuid);
    expect(target.name).toBe(source.name);
    expect(target.machine).toBe(source.machine);
    expect(target.interfaces.map(({ mac }) => mac)).toEqual(source.interfaces.map(({ mac }) => mac));
  });

  it("written back for the source is what an identical mapping writes", () => {
    const disks = readDomain(inactiveXml).disks.map(disk => [disk.targetDev, disk.sourcePath ?? ""] as const);
    const back: TargetMapping = {
      ...mapping,
      disks: new Map(disks),
      emulator: "/usr/bin/qemu-system-x86_64",
      paths: new Map([...mapping.paths].map(([from, to]) => [to, from])),
      networks: new Map([["lan-2", "lan"]]),
      bridges: new Map([["br1", "br0"]]),
    };
    const same: TargetMapping = {
      ...back,
      paths: new Map([...mapping.paths.keys()].map(path => [path, path])),
    };
    const returned = rewriteForTarget(written, back, incarnation);
    expect(returned).toBe(rewriteForTarget(inactiveXml, same, incarnation));
  });

  it.each([
    ["a disk", { ...mapping, disks: new Map() }, inactiveXml, "devices/disk[vda]/source@file"],
    ["a log", { ...mapping, paths: new Map() }, inactiveXml, "devices/serial/source@path"],
    [
      "a listen address of the source",
      mapping,
      inactiveXml.replaceAll("127.0.0.1", "192.0.2.9"),
      "devices/graphics@listen",
    ],
    [
      "an element that nobody knows, even when the path is mapped",
      { ...mapping, paths: new Map([...mapping.paths, ["/opt/x", "/opt/x"]]) },
      edit(inactiveXml, "</devices>", "<gadget file='/opt/x'/></devices>"),
      "devices/gadget@file",
    ],
  ])("is refused while %s has no place there", (_what, incomplete, xml, place) => {
    expect(() => rewriteForTarget(xml, incomplete, incarnation)).toThrow(Fault);
    expect(() => rewriteForTarget(xml, incomplete, incarnation)).toThrow(place);
  });

  it("keeps backing files apart from the active layer", () => {
    const chain =
      "<backingStore type='file'><format type='raw'/><source file='/images/base'/><backingStore/></backingStore>";
    const xml = edit(inactiveXml, "<target dev='vda'", `${chain}<target dev='vda'`);
    expect(() => rewriteForTarget(xml, mapping, incarnation)).toThrow("/images/base");
    const paths = new Map([...mapping.paths, ["/images/base", "/pool/base"]]);
    const [root] = readDomain(rewriteForTarget(xml, { ...mapping, paths }, incarnation)).disks;
    expect(root).toMatchObject({
      sourcePath: "/pool/web-1/root",
      backingStore: [{ path: "/pool/base" }],
    });
  });
});
