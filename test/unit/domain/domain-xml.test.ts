import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nvramPathOf, parseDomain, readDomain } from "../../../agent/domain/domain-xml.js";
import { parseXml, serializeXml } from "../../../agent/domain/xml-document.js";
import { Fault } from "../../../proto/fault.js";
import { edit, everythingXml, inactiveXml, liveXml, UUID } from "./fixtures.js";

const faultOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return error instanceof Fault ? error.code : `not a fault: ${error}`;
  }
  return "no fault";
};

describe("a domain", () => {
  const domain = readDomain(inactiveXml);

  it("is described in libvirt's words", () => {
    expect(domain).toMatchObject({
      uuid: UUID,
      name: "web-1",
      virttype: "qemu",
      memoryKib: 192 * 1024,
      vcpus: 2,
      currentVcpus: 1,
      arch: "x86_64",
      machine: "pc-q35-7.2",
      emulator: "/usr/bin/qemu-system-x86_64",
      tpmBackend: "emulator",
      firmware: { automatic: "efi", nvramPath: undefined },
      characterFiles: ["/var/lib/libvirt/images/console.log", "/var/lib/libvirt/images/pty.log"],
      channels: ["org.qemu.guest_agent.0"],
    });
  });

  it("has its disks with declared formats, serials and user aliases", () => {
    const facts = domain.disks.map(({ targetDev, device, format, hasSource, serial, alias }) => [
      targetDev,
      device,
      format,
      hasSource,
      serial ?? alias,
    ]);
    expect(facts).toEqual([
      ["vda", "disk", "qcow2", true, "root"],
      ["vdb", "disk", "raw", true, "ua-eph0"],
      ["vdc", "disk", "raw", true, undefined],
      ["sda", "cdrom", "raw", true, undefined],
      ["sdb", "cdrom", "raw", false, undefined],
    ]);
  });

  it("tells the backing chain while it runs", () => {
    expect(readDomain(liveXml).disks[0]?.backingStore).toEqual([
      { type: "file", path: "/var/lib/libvirt/images/base.qcow2", format: "qcow2" },
    ]);
  });

  it("has its NVRAM in libvirt's place when libvirt chooses the firmware", () => {
    expect(nvramPathOf(domain, "/nvram")).toBe("/nvram/web-1_VARS.fd");
    expect(nvramPathOf(readDomain(liveXml), "/nvram")).toBe("/var/lib/libvirt/qemu/nvram/web-1_VARS.fd");
    expect(nvramPathOf(readDomain(edit(inactiveXml, " firmware='efi'", "")), "/nvram")).toBeUndefined();
  });

  it("counts memory in whatever unit it is written", () => {
    expect(readDomain(everythingXml).memoryKib).toBe(2 * 1024 * 1024);
  });

  it.each([
    ["another root", "<network/>"],
    ["no uuid", inactiveXml.replace(/<uuid>.*<\/uuid>/, "")],
    ["a uuid that is none", edit(inactiveXml, UUID, "../../etc/passwd")],
    ["no memory", inactiveXml.replace(/<memory .*<\/memory>/, "")],
    ["negative memory", edit(inactiveXml, "196608", "-1")],
    ["an inherited name as unit", edit(inactiveXml, "<memory unit='KiB'>", "<memory unit='constructor'>")],
    ["a document type", `<!DOCTYPE domain [<!ENTITY x "y">]>${inactiveXml}`],
    ["an entity", edit(inactiveXml, "<title>web", "<title>&x;")],
    ["a reference to NUL", edit(inactiveXml, "<title>web", "<title>&#0;")],
    ["a lone surrogate", edit(inactiveXml, "<title>web", "<title>\ud800")],
    ["an unclosed tag", inactiveXml.replace("</domain>", "")],
    ["two roots", `${inactiveXml}<domain/>`],
    ["an unquoted attribute", edit(inactiveXml, "type='qemu'", "type=qemu")],
    ["more than 4 MiB", edit(inactiveXml, "<title>web", `<title>${"x".repeat(4 * 1024 * 1024)}`)],
    ["a million tags", edit(inactiveXml, "</devices>", `${"<a/>".repeat(1_000_000)}</devices>`)],
    [
      "ten thousand levels",
      edit(inactiveXml, "</devices>", `${"<a>".repeat(10_000)}${"</a>".repeat(10_000)}</devices>`),
    ],
    ["nothing", ""],
  ])("with %s is refused as invalid", (_what, xml) => {
    expect(faultOf(() => readDomain(xml))).toBe("invalid-argument");
  });

  it("is refused as invalid, never crashed on, however it is damaged", () => {
    const damage = fc.record({
      at: fc.nat(inactiveXml.length),
      length: fc.nat(40),
      insert: fc.string({ unit: "binary", maxLength: 12 }),
    });
    fc.assert(
      fc.property(damage, ({ at, length, insert }) => {
        const xml = inactiveXml.slice(0, at) + insert + inactiveXml.slice(at + length);
        expect(["invalid-argument", "no fault"]).toContain(faultOf(() => readDomain(xml)));
      }),
    );
  });
});

const nameArbitrary = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/);
const textArbitrary = fc
  .string({ unit: "binary", maxLength: 20 })
  .map(text => text.replace(/[^\t\n\r\u0020-\uD7FF]/g, ""))
  .map(text => text.replace(/[&<>"\t\n\r]/g, character => `&#${character.charCodeAt(0)};`));

const elementArbitrary = fc.letrec<{ element: string }>(tie => ({
  element: fc
    .record({
      name: nameArbitrary,
      attributes: fc.uniqueArray(fc.tuple(nameArbitrary, textArbitrary), { selector: ([name]) => name }),
      content: fc.array(fc.oneof({ maxDepth: 4 }, textArbitrary, fc.constant("<!-- c -->"), tie("element")), {
        maxLength: 4,
      }),
    })
    .map(({ name, attributes, content }) => {
      const written = attributes
        .filter(([key]) => key !== "xmlns")
        .map(([key, value]) => ` ${key}="${value}"`);
      return `<${name}${written.join("")}>${content.join("")}</${name}>`;
    }),
})).element;

describe("writing", () => {
  it("what several read at once is refused to be written, and a document of one's own is not", () => {
    expect(readDomain(inactiveXml)).toBe(readDomain(inactiveXml));
    expect(() => serializeXml(readDomain(inactiveXml).root)).toThrow("a document that others read");
    const { root } = parseDomain(inactiveXml);
    root.setAttribute("type", "other");
    expect(serializeXml(root)).toContain("other");
    expect(readDomain(inactiveXml).virttype).not.toBe("other");
  });

  const content = (xml: string) => parseXml(xml, "domain").toString();

  it("keeps comments, CDATA, unknown elements and blanks", () => {
    const written = serializeXml(parseXml(everythingXml, "domain"));
    expect(written.replaceAll('"', "'")).toBe(everythingXml.trimEnd().replaceAll('"', "'"));
  });

  it("keeps carriage returns that were written as references", () => {
    const xml = '<domain a="x&#13;&#10;y">x&#13;y</domain>';
    expect(serializeXml(parseXml(xml, "domain"))).toBe(xml);
  });

  it("keeps every element, attribute and text", () => {
    fc.assert(
      fc.property(elementArbitrary, element => {
        const xml = `<domain>${element}</domain>`;
        const once = serializeXml(parseXml(xml, "domain"));
        expect(content(once)).toBe(content(xml));
        expect(serializeXml(parseXml(once, "domain"))).toBe(once);
      }),
    );
  });
});
