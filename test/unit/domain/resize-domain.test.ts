/** The sizes of a machine, changed in its XML and nowhere else. */

import { describe, expect, it } from "vitest";
import { parseDomain, readDomain } from "../../../agent/domain/domain-xml.js";
import {
  type DomainSizes,
  freeTargetDevs,
  resizeDomain,
  whyNotResizable,
} from "../../../agent/domain/resize-domain.js";
import { childOf, serializeXml } from "../../../agent/domain/xml-document.js";
import { definedXml, edit, inactiveXml } from "./fixtures.js";

const before = readDomain(inactiveXml);
const same: DomainSizes = {
  vcpus: before.vcpus,
  memoryMib: before.memoryKib / 1024,
  addedDisks: [],
  droppedDisks: [],
};

function resized(xml: string, changes: Partial<DomainSizes>) {
  const domain = parseDomain(xml);
  const sizes = { ...same, vcpus: domain.vcpus, memoryMib: domain.memoryKib / 1024, ...changes };
  resizeDomain(domain.root, domain, sizes);
  return serializeXml(domain.root);
}

const topology = (xml: string, attributes: string) =>
  xml.includes("<cpu")
    ? xml.replace(/<cpu[^>]*(\/>|>[\s\S]*?<\/cpu>)/, `<cpu><topology ${attributes}/></cpu>`)
    : edit(xml, "</features>", `</features><cpu><topology ${attributes}/></cpu>`);

const topologyOf = (xml: string): string => {
  const element = childOf(readDomain(xml).root, "cpu", "topology");
  return ["sockets", "dies", "cores", "threads"].map(name => element?.getAttribute(name) ?? "-").join(" ");
};

describe("a resized domain", () => {
  it("of the same sizes is not changed at all", () => {
    expect(resized(inactiveXml, {})).toBe(serializeXml(parseDomain(inactiveXml).root));
  });

  it("has the vCPUs and the memory of its flavor, all of them plugged in", () => {
    expect(before).toMatchObject({ vcpus: 2, currentVcpus: 1 });
    const domain = readDomain(resized(inactiveXml, { vcpus: 6, memoryMib: 3000 }));
    expect(domain).toMatchObject({ vcpus: 6, currentVcpus: 6, memoryKib: 3000 * 1024 });
    const current = childOf(domain.root, "currentMemory");
    expect([current?.textContent, current?.getAttribute("unit")]).toEqual([String(3000 * 1024), "KiB"]);
  });

  it("has more sockets of the same kind, or plain ones where that does not come out even", () => {
    const xml = topology(inactiveXml, 'sockets="1" dies="1" cores="2" threads="2"');
    expect(topologyOf(resized(xml, { vcpus: 8 }))).toBe("2 1 2 2");
    expect(topologyOf(resized(xml, { vcpus: 6 }))).toBe("6 1 1 1");
  });

  it("gets disks on the bus of its others, and loses those that its flavor has no place for", () => {
    const [name = ""] = freeTargetDevs(readDomain(definedXml).root, 1);
    const added = [{ targetDev: name, path: "/pool/web & co", serial: "swap" }];
    const [first, dropped] = readDomain(definedXml).disks;
    const xml = resized(definedXml, { addedDisks: added, droppedDisks: [dropped?.targetDev ?? ""] });
    const { disks } = readDomain(xml);
    expect(disks.map(({ targetDev }) => targetDev)).not.toContain(dropped?.targetDev);
    expect(disks.at(-1)).toMatchObject({
      targetDev: name,
      sourcePath: "/pool/web & co",
      format: "raw",
      serial: "swap",
      bus: first?.bus,
      cache: first?.cache,
    });
  });

  it("names new disks after the first one's bus, with letters that are free", () => {
    const { root } = parseDomain(edit(definedXml, "dev='vda' bus='virtio'", "dev='sda' bus='scsi'"));
    expect(freeTargetDevs(root, 2)).toEqual(["sdb", "sdc"]);
  });
});

describe("a domain cannot be resized", () => {
  const obstacles = (xml: string, changes: Partial<DomainSizes>) => {
    const domain = readDomain(xml);
    return whyNotResizable(domain.root, domain, {
      ...same,
      ...changes,
      hardwareIsTold: false,
    }).map(({ message }) => message);
  };
  const withElement = (element: string) => edit(inactiveXml, "</domain>", `${element}</domain>`);

  it.each([
    ["pins its vCPUs", withElement("<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>"), { vcpus: 7 }],
    [
      "has a maximum for plugged memory",
      withElement("<maxMemory slots='2'>9999999</maxMemory>"),
      { memoryMib: 64 },
    ],
    [
      "limits its memory",
      withElement("<memtune><hard_limit>9999999</hard_limit></memtune>"),
      { memoryMib: 64 },
    ],
    [
      "has memory devices",
      edit(inactiveXml, "</devices>", "<memory model='dimm'/></devices>"),
      { memoryMib: 64 },
    ],
  ])("that %s, unless that stays true", (what, xml, changes) => {
    expect(obstacles(xml, changes)).toEqual([expect.stringContaining(what)]);
    expect(obstacles(xml, {})).toEqual([]);
  });

  it("that divides what it has among NUMA cells", () => {
    const xml = inactiveXml.replace(
      /<cpu[^>]*(\/>|>[\s\S]*?<\/cpu>)/,
      "<cpu><numa><cell id='0'/></numa></cpu>",
    );
    expect(obstacles(xml, { memoryMib: 64 })).toHaveLength(1);
  });
});
