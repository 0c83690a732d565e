import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type ImageFormat, imageFormat, walkImageChain } from "../../../agent/disk/image-rules.js";
import { Fault } from "../../../proto/fault.js";
import { plainFiles } from "./plain-files.js";
import { type Qcow2Wish, qcow2Image } from "./qcow2-image.js";
import { temporaryDirectory } from "./temporary-directory.js";

async function imageDirectory() {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory, name);
  return {
    directory,
    path,
    put: (name: string, wish: Qcow2Wish) => writeFile(path(name), qcow2Image(wish)),
    walk: (name: string, format: ImageFormat = "qcow2") =>
      walkImageChain(plainFiles, { directories: [directory] }, { path: path(name), format }),
  };
}

const asFault = (error: unknown): Fault => {
  if (error instanceof Fault) return error;
  throw error;
};

describe("an image chain", () => {
  it("is walked with the formats that the images declare, relative names included", async () => {
    const images = await imageDirectory();
    await mkdir(images.path("sub"));
    await images.put("sub/top", { backingFile: "../middle", backingFormat: "qcow2" });
    await images.put("middle", { backingFile: images.path("base"), backingFormat: "raw" });
    await writeFile(images.path("base"), Buffer.alloc(4096));
    const layers = await images.walk("sub/top");
    expect(layers.map(({ path, format, virtualSizeBytes }) => [path, format, virtualSizeBytes])).toEqual([
      [images.path("sub/top"), "qcow2", 64 * 1024 * 1024],
      [images.path("middle"), "qcow2", 64 * 1024 * 1024],
      [images.path("base"), "raw", 4096],
    ]);
  });

  it("ends at a raw image, whatever that contains", async () => {
    const images = await imageDirectory();
    await images.put("raw", { backingFile: "/etc/passwd", backingFormat: "raw" });
    const layers = await images.walk("raw", "raw");
    expect(layers).toMatchObject([{ format: "raw", header: undefined, virtualSizeBytes: 65_536 }]);
  });

  it("whose image is declared qcow2 and is none is refused as a lie", async () => {
    const images = await imageDirectory();
    await writeFile(images.path("disk"), Buffer.alloc(65_536));
    const fault = asFault(await images.walk("disk").catch(error => error));
    expect(fault).toMatchObject({ code: "refused", detail: { need: "a qcow2 image" } });
    expect(fault.message).toContain(images.path("disk"));
  });

  it.each<[string, Qcow2Wish, string]>([
    ["a backing file outside", { backingFile: "/etc/passwd", backingFormat: "raw" }, "outside the image"],
    ["a backing file above", { backingFile: "../../etc/passwd", backingFormat: "raw" }, "outside the image"],
    ["a protocol", { backingFile: "nbd://host/disk", backingFormat: "raw" }, "not a plain path"],
    ["a file protocol", { backingFile: "file:/etc/passwd", backingFormat: "raw" }, "not a plain path"],
    ["json", { backingFile: 'json:{"driver":"raw"}', backingFormat: "raw" }, "not a plain path"],
    ["no backing format", { backingFile: "base" }, "does not say the format"],
    ["an exotic backing format", { backingFile: "base", backingFormat: "vmdk" }, "format vmdk"],
    ["an external data file", { incompatible: 4n }, "another file"],
    ["encryption", { cryptMethod: 2 }, "encrypted"],
    ["the corrupt mark", { incompatible: 2n }, "corrupt"],
    ["a feature of the future", { incompatible: 1n << 40n }, "unknown features"],
  ])("with %s is refused", async (_what, wish, why) => {
    const images = await imageDirectory();
    await images.put("disk", wish);
    const fault = asFault(await images.walk("disk").catch(error => error));
    expect(["refused", "unsupported"]).toContain(fault.code);
    expect(fault.message).toContain(why);
  });

  it("that leads through a symbolic link, at the end or on the way, is refused", async () => {
    const images = await imageDirectory();
    const outside = await temporaryDirectory();
    await writeFile(join(outside, "disk"), qcow2Image({}));
    await symlink(join(outside, "disk"), images.path("link"));
    await symlink(outside, images.path("way"));
    await expect(images.walk("link")).rejects.toThrow("symbolic link");
    await expect(images.walk("way/disk")).rejects.toThrow("symbolic link");
  });

  it("of a special file is refused, and of a missing one is not found", async () => {
    const images = await imageDirectory();
    await mkdir(images.path("directory"));
    await expect(images.walk("directory", "raw")).rejects.toThrow("is no regular file");
    await expect(images.walk("nothing")).rejects.toMatchObject({ code: "not-found" });
    const places = { directories: ["/dev"] };
    const device = walkImageChain(plainFiles, places, { path: "/dev/zero", format: "raw" });
    await expect(device).rejects.toThrow("is no regular file");
  });

  it("of 16 layers is walked, of 17 or in a circle is refused", async () => {
    const images = await imageDirectory();
    for (let layer = 0; layer < 17; layer += 1) {
      await images.put(`layer${layer}`, { backingFile: `layer${layer + 1}`, backingFormat: "qcow2" });
    }
    await images.put("layer15", {});
    expect(await images.walk("layer0")).toHaveLength(16);
    await images.put("layer15", { backingFile: "layer16", backingFormat: "qcow2" });
    await images.put("layer16", {});
    await expect(images.walk("layer0")).rejects.toThrow("more than 16");
    await images.put("circle", { backingFile: "circle", backingFormat: "qcow2" });
    await expect(images.walk("circle")).rejects.toThrow("more than 16");
  });

  it("of a path that is not in plain form is refused before it is opened", async () => {
    const images = await imageDirectory();
    const places = { directories: [images.directory] };
    await images.put("disk", {});
    for (const path of [
      "relative",
      `${images.directory}/a/../disk`,
      `${images.directory}/a/../../x`,
      `${images.directory}/a\0b`,
    ]) {
      const walk = walkImageChain(plainFiles, places, { path, format: "raw" });
      await expect(walk).rejects.toThrow("outside the image directories");
    }
  });
});

describe("a format", () => {
  it("is raw or qcow2, and everything else is unsupported", () => {
    expect(imageFormat("raw")).toBe("raw");
    expect(imageFormat("qcow2")).toBe("qcow2");
    expect(() => imageFormat("vdi")).toThrow("format vdi");
  });
});
