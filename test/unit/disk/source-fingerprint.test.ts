import { describe, expect, it } from "vitest";
import type { ImageLayer } from "../../../agent/disk/image-rules.js";
import { sourceFingerprint } from "../../../agent/disk/source-fingerprint.js";
import { definedAfterStartXml, definedXml, edit } from "../domain/fixtures.js";

const layer: ImageLayer = {
  path: "/images/disk",
  format: "qcow2",
  virtualSizeBytes: 4096,
  header: undefined,
  facts: {
    device: "8:1",
    inode: "12",
    birthNs: "99",
    sizeBytes: 1,
    allocatedBytes: 1,
    mtimeNs: "1",
    ctimeNs: "1",
  },
};
const base: ImageLayer = { ...layer, path: "/images/base", facts: { ...layer.facts, inode: "13" } };

const fingerprint = (xml: string, ...chain: ImageLayer[]) =>
  sourceFingerprint(xml, [{ targetDev: "vda", chain, blockDevice: undefined }]);
const before = fingerprint(definedXml, layer, base);

describe("the fingerprint of a source", () => {
  it("stays while the guest runs, writes and stops", () => {
    const written: ImageLayer = {
      ...layer,
      facts: { ...layer.facts, sizeBytes: 9, allocatedBytes: 9, mtimeNs: "9", ctimeNs: "9" },
    };
    expect(fingerprint(definedAfterStartXml, written, base)).toBe(before);
  });

  it("stays over a reboot, which numbers the devices anew", () => {
    const renumbered = { ...layer, facts: { ...layer.facts, device: "8:17" } };
    expect(fingerprint(definedXml, renumbered, base)).toBe(before);
    const unborn = { ...layer, facts: { ...layer.facts, birthNs: "0" } };
    const other = { ...unborn, facts: { ...unborn.facts, device: "8:17" } };
    expect(fingerprint(definedXml, other, base)).not.toBe(fingerprint(definedXml, unborn, base));
  });

  it.each<[string, string]>([
    ["another definition", fingerprint(edit(definedXml, "131072", "262144"), layer, base)],
    ["a snapshot's layer on top", fingerprint(definedXml, { ...layer, path: "/images/snap" }, layer, base)],
    ["a file under another name", fingerprint(definedXml, layer, { ...base, path: "/images/moved" })],
    ["a committed backing file", fingerprint(definedXml, layer)],
    [
      "another file under the name",
      fingerprint(definedXml, { ...layer, facts: { ...layer.facts, inode: "7" } }, base),
    ],
    [
      "an inode used again",
      fingerprint(definedXml, layer, { ...base, facts: { ...base.facts, birthNs: "7" } }),
    ],
    ["a disk that was grown", fingerprint(definedXml, { ...layer, virtualSizeBytes: 8192 }, base)],
    [
      "another disk",
      sourceFingerprint(definedXml, [{ targetDev: "vdb", chain: [layer, base], blockDevice: undefined }]),
    ],
  ])("differs with %s", (_what, after) => {
    expect(after).not.toBe(before);
  });
});
