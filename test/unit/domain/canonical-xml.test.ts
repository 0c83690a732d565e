import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalDifferences, canonicalXml } from "../../../agent/domain/canonical-xml.js";
import { parseXml, serializeXml } from "../../../agent/domain/xml-document.js";
import { definedAfterStartXml, definedXml, edit, everythingXml, inactiveXml } from "./fixtures.js";

describe("canonical XML", () => {
  it("is the same for every order of attributes", () => {
    const attributes = fc.uniqueArray(
      fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.stringMatching(/^[ -~]{0,8}$/)),
      { selector: ([name]) => name, minLength: 2 },
    );
    const shuffled = attributes.chain(list =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    const write = (list: readonly (readonly [string, string])[]) => {
      const element = parseXml("<domain/>", "domain");
      for (const [name, value] of list) element.setAttribute(name === "xmlns" ? "x" : name, value);
      return serializeXml(element);
    };
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        expect(canonicalXml(write(one))).toBe(canonicalXml(write(other)));
      }),
    );
  });

  it("is the same for other quotes, blanks, CDATA and empty tags", () => {
    const one = "<domain a='1'>\n  <b></b>\n  <c>x &amp; y</c>\n</domain>";
    const other = '<domain a="1"><b/><c><![CDATA[x & y]]></c></domain>';
    expect(canonicalXml(one)).toBe(canonicalXml(other));
  });

  it("is the same before and after the first start, which sorts the controllers", () => {
    expect(definedAfterStartXml).not.toBe(definedXml);
    expect(canonicalXml(definedAfterStartXml)).toBe(canonicalXml(definedXml));
    const moved = edit(definedXml, "controller type='usb' index='0'", "controller type='usb' index='1'");
    expect(canonicalXml(moved)).not.toBe(canonicalXml(definedXml));
  });

  it("is its own canonical form", () => {
    for (const xml of [inactiveXml, everythingXml]) {
      expect(canonicalXml(canonicalXml(xml))).toBe(canonicalXml(xml));
    }
  });

  it.each([
    ["another value", "machine='pc-q35-7.2'", "machine='pc-q35-6.2'"],
    ["another text", "<title>web</title>", "<title>web </title>"],
    ["another order of disks", "dev='vda'", "dev='vdz'"],
    ["a missing element", "<bootmenu enable='yes' timeout='10'/>", ""],
  ])("differs for %s", (_what, from, to) => {
    const changed = canonicalXml(edit(inactiveXml, from, to));
    expect(changed).not.toBe(canonicalXml(inactiveXml));
    expect(canonicalDifferences(canonicalXml(inactiveXml), changed)).not.toEqual([]);
  });

  it("names what differs, line by line", () => {
    const one = canonicalXml("<domain><a/><b x='1'/></domain>");
    const other = canonicalXml("<domain><a/><b x='2'/></domain>");
    expect(canonicalDifferences(one, other)).toEqual(['- <b x="1"/>', '+ <b x="2"/>']);
    const reordered = canonicalXml("<domain><b x='1'/><a/></domain>");
    expect(canonicalDifferences(one, reordered)).toEqual(["the order of elements"]);
    expect(canonicalDifferences(one, one)).toEqual([]);
  });
});
