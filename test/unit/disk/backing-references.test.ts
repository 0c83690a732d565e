import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findBackingReferences } from "../../../agent/disk/backing-references.js";
import { inactiveXml, liveXml, UUID } from "../domain/fixtures.js";
import { plainFiles } from "./plain-files.js";
import { qcow2Image } from "./qcow2-image.js";
import { temporaryDirectory } from "./temporary-directory.js";

describe("a backing file", () => {
  it("is needed by every image that names it, in any directory and any way of writing", async () => {
    const directory = await temporaryDirectory();
    const at = (name: string) => join(directory, name);
    await mkdir(at("sub"));
    await writeFile(at("base"), qcow2Image({}));
    await writeFile(at("one"), qcow2Image({ backingFile: "base", backingFormat: "qcow2" }));
    await writeFile(at("sub/two"), qcow2Image({ backingFile: "../base" }));
    await writeFile(at("three"), qcow2Image({ backingFile: `file:${at("base")}` }));
    await writeFile(at("other"), qcow2Image({ backingFile: "another" }));
    await writeFile(at("raw"), "x");
    const places = { directories: [directory] };
    const find = () => findBackingReferences(plainFiles, places, [], at("base"));
    const { found, unknown } = await find();
    expect(found.toSorted()).toEqual([at("one"), at("sub/two"), at("three")].toSorted());
    expect(unknown).toEqual([]);
    for (const name of ["one", "sub/two", "three"]) await rm(at(name));
    expect(await find()).toEqual({ found: [], unknown: [] });
  });

  it("is needed by every domain that names it, at any depth", async () => {
    const places = { directories: [] };
    const find = (xml: string, path: string) =>
      findBackingReferences(plainFiles, places, [{ uuid: UUID, xml }], path);
    expect(await find(inactiveXml, "/var/lib/libvirt/images/disk")).toMatchObject({ found: [UUID] });
    expect(await find(liveXml, "/var/lib/libvirt/images/base.qcow2")).toMatchObject({ found: [UUID] });
    expect(await find(inactiveXml, "/var/lib/libvirt/images/free")).toEqual({ found: [], unknown: [] });
  });

  it("may be needed by whatever cannot be read", async () => {
    const directory = await temporaryDirectory();
    const damaged = qcow2Image({ backingFile: "base" });
    damaged.writeUInt32BE(99, 20);
    await writeFile(join(directory, "damaged"), damaged);
    const places = { directories: [directory, "/nothing/here"] };
    const domains = [{ uuid: UUID, xml: "<domain" }];
    const { unknown } = await findBackingReferences(plainFiles, places, domains, join(directory, "base"));
    expect(unknown.map(({ what }) => what)).toEqual([UUID, join(directory, "damaged"), "/nothing/here"]);
  });
});
