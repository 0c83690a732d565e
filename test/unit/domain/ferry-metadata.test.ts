import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FERRY_NAMESPACE,
  ferryMetadata,
  ferryMetadataToSet,
  formatIncarnation,
  type Incarnation,
  parseIncarnation,
  readIncarnation,
  writeIncarnation,
} from "../../../agent/domain/ferry-metadata.js";
import { parseXml, serializeXml } from "../../../agent/domain/xml-document.js";
import { edit, everythingXml, inactiveXml, UUID } from "./fixtures.js";

const home: Incarnation = { server: UUID, migration: "home", side: "source", epoch: 3 };

const incarnations: fc.Arbitrary<Incarnation> = fc.record({
  server: fc.uuid(),
  migration: fc.oneof(fc.constant("home"), fc.uuid()),
  side: fc.constantFrom("source", "target"),
  epoch: fc.nat(),
});

describe("an incarnation", () => {
  it("is one word, and reads back from it", () => {
    expect(formatIncarnation(home)).toBe(`${UUID}/home/source/3`);
    fc.assert(
      fc.property(incarnations, one => {
        expect(parseIncarnation(formatIncarnation(one))).toEqual(one);
      }),
    );
  });

  it.each([
    "",
    "a/home/source",
    "a/home/both/1",
    "a/home/source/-1",
    "a/home/source/1/x",
    "a b/home/source/1",
  ])("is not what %j says", text => {
    expect(() => parseIncarnation(text)).toThrow(/incarnation/);
  });

  it("is written into a domain in place of the earlier one, and other metadata stays", () => {
    fc.assert(
      fc.property(incarnations, incarnations, (first, second) => {
        const root = parseXml(everythingXml, "domain");
        writeIncarnation(root, first);
        writeIncarnation(root, second);
        const written = serializeXml(root);
        expect(readIncarnation(parseXml(written, "domain"))).toEqual(second);
        expect(written.match(/<ferry:ferry/g)).toHaveLength(1);
        expect(written).toContain("<app:info");
      }),
    );
  });

  it("is written once in place of several, however they came about", () => {
    const twice = `<metadata>${ferryMetadata(home)}${ferryMetadata(home)}`;
    const root = parseXml(edit(inactiveXml, "<metadata>", twice), "domain");
    writeIncarnation(root, { ...home, epoch: 9 });
    expect(readIncarnation(parseXml(serializeXml(root), "domain"))).toEqual({ ...home, epoch: 9 });
  });

  it("is written into a domain without any metadata", () => {
    const root = parseXml("<domain><name>x</name></domain>", "domain");
    expect(readIncarnation(root)).toBeUndefined();
    writeIncarnation(root, home);
    expect(readIncarnation(parseXml(serializeXml(root), "domain"))).toEqual(home);
  });

  it.each([
    ["another prefix", `<f:ferry xmlns:f="${FERRY_NAMESPACE}"><f:incarnation ATTRIBUTES/></f:ferry>`],
    ["no prefix", `<ferry xmlns="${FERRY_NAMESPACE}"><incarnation ATTRIBUTES/></ferry>`],
    ["no namespace within", `<f:ferry xmlns:f="${FERRY_NAMESPACE}"><incarnation ATTRIBUTES/></f:ferry>`],
  ])("is read with %s", (_what, mark) => {
    const attributes = /incarnation (.*)\/><\/ferry>/.exec(ferryMetadataToSet(home))?.[1] ?? "";
    const xml = edit(inactiveXml, "<metadata>", `<metadata>${mark.replace("ATTRIBUTES", attributes)}`);
    expect(readIncarnation(parseXml(xml, "domain"))).toEqual(home);
  });

  it("is never guessed: a mark that names two, or none, is refused", () => {
    const twice = `<metadata>${ferryMetadata(home)}${ferryMetadata(home)}`;
    expect(() => readIncarnation(parseXml(edit(inactiveXml, "<metadata>", twice), "domain"))).toThrow(
      /2 inc/,
    );
    const empty = '<metadata><f:ferry xmlns:f="https://ferry.dev/xmlns/domain/1"/>';
    expect(() => readIncarnation(parseXml(edit(inactiveXml, "<metadata>", empty), "domain"))).toThrow(
      /0 inc/,
    );
  });
});
