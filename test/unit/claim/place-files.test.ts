/** Where files go on a target, and what may already be there. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isBeneath, type Occupied, placeFiles } from "../../../agent/claim/place-files.js";
import { ManifestFile } from "../../../proto/gen/ferry/v1/agent.js";

const folders = { imageDirs: ["/srv/images", "/mnt/shared"], stateDirs: ["/var/lib/libvirt/qemu/nvram"] };

const file = (change: Partial<ManifestFile>): ManifestFile =>
  ManifestFile.fromPartial({ id: "vda/0", kind: "disk", mode: "copied", sizeBytes: 10, ...change });

const place = (files: ManifestFile[], occupied: Occupied[] = []) =>
  placeFiles(files, folders, occupied, new Map());

describe("a file's place on the target", () => {
  it("is its own path where the target has the folder", () => {
    const placed = place([file({ path: "/mnt/shared/a/disk", relativePath: "a/disk" })]);
    expect(placed.files[0]?.path).toBe("/mnt/shared/a/disk");
  });

  it("is the first image folder otherwise, under the same relative path", () => {
    const placed = place([file({ path: "/var/lib/libvirt/images/a/disk", relativePath: "a/disk" })]);
    expect(placed.files[0]?.path).toBe("/srv/images/a/disk");
  });

  it("of a backing file is never another path, because the layer above names it", () => {
    const placed = place([
      file({ kind: "backing", path: "/var/lib/libvirt/images/base", relativePath: "base" }),
    ]);
    expect(placed.files).toEqual([]);
    expect(placed.refusals[0]?.need).toBe("/var/lib/libvirt/images");
  });

  it("of NVRAM is outside the image folders but inside its own", () => {
    const nvram = file({ kind: "nvram", path: "/var/lib/libvirt/qemu/nvram/a_VARS.fd" });
    expect(place([nvram]).files[0]?.path).toBe(nvram.path);
    expect(place([file({ kind: "nvram", path: "/srv/images/a_VARS.fd" })]).files).toEqual([]);
  });
});

describe("what is in the way", () => {
  const disk = file({ path: "/srv/images/a", relativePath: "a" });
  const base = file({ id: "vda/1", kind: "backing", path: "/srv/images/base", digest: "d1" });

  it("refuses a disk, whatever it holds", () => {
    expect(place([disk], [{ path: "/srv/images/a", digest: "d1" }]).refusals[0]?.code).toBe("already-exists");
  });

  it("is welcome when it is the same backing file by digest", () => {
    expect(place([base], [{ path: "/srv/images/base", digest: "d1" }]).files[0]?.mode).toBe("present");
  });

  it("refuses a backing file with another digest, or one that was not read", () => {
    for (const digest of ["d2", ""]) {
      expect(place([base], [{ path: "/srv/images/base", digest }]).refusals).toHaveLength(1);
    }
  });

  it("with an unknown digest on both sides is not the same", () => {
    const unread = file({ ...base, digest: "" });
    expect(place([unread], [{ path: "/srv/images/base", digest: "" }]).refusals).toHaveLength(1);
  });
});

describe("beneath", () => {
  it("never holds for a path that climbs", () => {
    const segment = fc.constantFrom("..", "a", "b");
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), segments => {
        const isClimbing = segments.includes("..");
        expect(isBeneath(`/srv/images/${segments.join("/")}`, "/srv/images")).toBe(!isClimbing);
      }),
    );
  });

  it("is not fooled by a common prefix of names", () => {
    expect(isBeneath("/srv/images2/a", "/srv/images")).toBe(false);
    expect(isBeneath("/srv/images", "/srv/images")).toBe(false);
  });
});
