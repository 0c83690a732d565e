/** A server whose disks are to have another format on the target: what is planned, booked, written and refused for it. */

import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { prepareSource } from "../../../agent/verbs/prepare-source.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { checkedDiskFormat } from "../../../controller/migration/disk-format.js";
import type { SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { qcow2Image } from "../disk/qcow2-image.js";
import type { Host } from "./host.js";
import { unchanged, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
withTwoHosts((...made) => {
  [source, target] = made;
});

/** The server of `settle`, on a qcow2 overlay. */
function overlay(): SourceManifest {
  // Backing files keep their path: here it is one of the target.
  const [disk, base] = [source.at("images/web-3/disk"), target.at("images/base")];
  const domainXml = source
    .domainXml()
    .replace('type="raw"/>', 'type="qcow2"/>')
    .replace(
      '<target dev="vda"',
      `<backingStore type="file"><format type="qcow2"/><source file="${base}"/></backingStore><target dev="vda"`,
    );
  const file = { sizeBytes: 9, dataBytes: 9, mode: "copied" };
  return source.manifest({
    domainXml,
    disks: [
      {
        ...(source.manifest().disks[0] as SourceManifest["disks"][0]),
        format: "qcow2",
        backing: [{ path: base, format: "qcow2" }] as SourceManifest["disks"][0]["backing"],
      },
    ],
    files: [
      { ...file, id: "vda/0", path: disk, relativePath: "web-3/disk", kind: "disk" },
      { ...file, id: "vda/1", path: base, relativePath: "base", kind: "backing" },
    ] as SourceManifest["files"],
  });
}

const prepare = async (manifest: SourceManifest, diskFormat?: string) => {
  const answer = await prepareTarget(
    { ...unchanged(manifest), ...(diskFormat === undefined ? {} : { diskFormat }) },
    target.call(),
    target.world,
  );
  expect(answer.refusals.map(({ message }) => message)).toEqual([]);
  const { files = [], disks = [], domainXml = "" } = answer.plan ?? {};
  return {
    conversions: files.map(({ id, format, convertTo = "" }) => `${id} ${format} ${convertTo}`),
    disks: disks.map(({ format, backing }) => `${format} on ${backing.length}`),
    driver: /<driver [^>]*>/.exec(domainXml)?.[0],
    hasBackingStore: domainXml.includes("backingStore"),
    claim: target.world.documents.list("claim").map(({ body }) => body),
  };
};

describe("a target that is asked for one raw file", () => {
  it("plans it, defines it so, without what was below it, and books room for both", async () => {
    expect(await prepare(overlay(), "raw")).toEqual({
      conversions: ["vda/0 qcow2 raw", "vda/1  "],
      disks: ["raw on 0"],
      driver: '<driver name="qemu" type="raw"/>',
      hasBackingStore: false,
      claim: [expect.objectContaining({ bytes: 2 * 9 + 2 * 9 })],
    });
  });

  it("flattens a chain that has the format already, and leaves a single file of it alone", async () => {
    expect(await prepare(overlay(), "qcow2")).toMatchObject({
      conversions: ["vda/0 qcow2 qcow2", "vda/1  "],
      disks: ["qcow2 on 0"],
      hasBackingStore: false,
    });
    expect(await prepare(source.manifest(), "raw")).toMatchObject({
      conversions: ["vda/0  "],
      disks: ["raw on 0"],
    });
  });

  it("changes nothing of a server that is not to be converted", async () => {
    expect(await prepare(overlay())).toMatchObject({
      conversions: ["vda/0  ", "vda/1  "],
      disks: ["qcow2 on 1"],
      driver: '<driver name="qemu" type="qcow2"/>',
      hasBackingStore: true,
      claim: [expect.objectContaining({ bytes: 2 * 9 })],
    });
  });
});

it("a target is asked for no format that it does not know", async () => {
  await expect(prepare(overlay(), "vmdk")).rejects.toMatchObject({ code: "unsupported" });
});

it("a source refuses to have snapshots and bitmaps lost, and says what they are", async () => {
  await source.settle({ xml: source.domainXml().replace('type="raw"', 'type="qcow2"') });
  writeFileSync(source.at("images/web-3/disk"), qcow2Image({ snapshots: 2, bitmaps: 1 }));
  const ask = (diskFormat?: string) =>
    prepareSource(
      { readOnlyDrives: "", ...(diskFormat === undefined ? {} : { diskFormat }) },
      source.call(),
      source.world,
    );
  expect((await ask("raw")).refusals).toMatchObject([
    {
      message: "a conversion would lose what the image of vda holds",
      have: "2 internal snapshots, 1 bitmaps",
      fix: expect.stringContaining("without --disk-format"),
    },
  ]);
  expect((await ask()).refusals).toEqual([]);
});

it("a format is one of two, or none", () => {
  expect([checkedDiskFormat("raw"), checkedDiskFormat(""), checkedDiskFormat(undefined)]).toEqual([
    "raw",
    undefined,
    undefined,
  ]);
  expect(() => checkedDiskFormat("vmdk")).toThrow(/cannot be made vmdk/);
});
