/** Our reading of disks against what the tools of the world make and say of them. */

import { mkdir, open, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { configDriveKind, isIso9660 } from "../../agent/disk/config-drive.js";
import { createRoot } from "../../agent/disk/create-root.js";
import { createEphemeralDisk, ephemeralLabel } from "../../agent/disk/ephemeral.js";
import { type ImageFormat, walkImageChain } from "../../agent/disk/image-rules.js";
import { createSwapDisk, judgeSwap, SWAP_PROBE_BYTES, swapSpaceOf } from "../../agent/disk/swap.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { runTool } from "../../agent/os/tool.js";
import { plainFiles } from "../unit/disk/plain-files.js";
import { temporaryDirectory } from "../unit/disk/temporary-directory.js";

const MIB = 1024 * 1024;
const UUID = "b2b5a3a0-5b1c-4d4e-9b8e-0123456789ab";
const limits = { timeoutMs: 60_000 };

let directory: string;
const at = (name: string) => join(directory, name);
const tool = (...argv: [string, ...string[]]) => runTool(argv, limits);

beforeEach(async () => {
  directory = await temporaryDirectory();
});

const walk = (path: string, format: ImageFormat) =>
  walkImageChain(plainFiles, { directories: [directory] }, { path, format });

interface QemuInfo {
  readonly "virtual-size": number;
  readonly "cluster-size"?: number;
  readonly "backing-filename"?: string;
  readonly "backing-filename-format"?: string;
  readonly snapshots?: readonly unknown[];
  readonly "format-specific"?: { readonly data: { readonly compat: string; readonly bitmaps?: unknown[] } };
}

const qemuInfo = async (path: string): Promise<QemuInfo> =>
  JSON.parse(await tool("qemu-img", "info", "--output=json", "-f", "qcow2", path));

describe("a qcow2 image of qemu-img", () => {
  it.each<[string, string[]]>([
    ["plain", []],
    ["of the old version", ["-o", "compat=0.10"]],
    ["with small clusters", ["-o", "cluster_size=4096"]],
    ["with the largest clusters", ["-o", "cluster_size=2M"]],
    ["with zstd and extended L2", ["-o", "compression_type=zstd,extended_l2=on,cluster_size=128k"]],
    ["with lazy refcounts", ["-o", "lazy_refcounts=on"]],
    ["on a raw backing file", ["-b", "base.raw", "-F", "raw"]],
    ["on a qcow2 backing file", ["-b", "base.qcow2", "-F", "qcow2"]],
  ])("%s is read as qemu-img reads it", async (_what, options) => {
    await writeFile(at("base.raw"), Buffer.alloc(MIB));
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("base.qcow2"), "1M");
    await tool("qemu-img", "create", "-q", "-f", "qcow2", ...options, at("disk"), "32M");
    const [layer] = await walk(at("disk"), "qcow2");
    const info = await qemuInfo(at("disk"));
    expect(layer?.header).toMatchObject({
      version: info["format-specific"]?.data.compat === "0.10" ? 2 : 3,
      virtualSizeBytes: info["virtual-size"],
      backingFile: info["backing-filename"],
      backingFormat: info["backing-filename-format"],
      snapshotCount: 0,
      bitmapCount: 0,
      unknownFeatures: [],
    });
    expect(2 ** (layer?.header?.clusterBits ?? 0)).toBe(info["cluster-size"]);
  });

  it("has the snapshots and bitmaps that were made", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("disk"), "32M");
    await tool("qemu-img", "snapshot", "-c", "one", at("disk"));
    await tool("qemu-img", "snapshot", "-c", "two", at("disk"));
    await tool("qemu-img", "bitmap", "--add", "-f", "qcow2", at("disk"), "b1");
    const [layer] = await walk(at("disk"), "qcow2");
    expect(layer?.header).toMatchObject({ snapshotCount: 2, bitmapCount: 1 });
  });

  it.each<[string, string[], string]>([
    ["with its data in another file", ["-o", "data_file=data.raw"], "another file"],
    [
      "with encryption",
      ["--object", "secret,id=s,data=geheim", "-o", "encrypt.format=aes,encrypt.key-secret=s"],
      "encrypted",
    ],
  ])("%s is refused", async (_what, options, why) => {
    await writeFile(at("data.raw"), "");
    const argv = ["create", "-q", "-f", "qcow2", ...options, at("disk"), "4M"];
    await tool("qemu-img", ...argv.map(word => word.replace("data.raw", at("data.raw"))));
    await expect(walk(at("disk"), "qcow2")).rejects.toThrow(why);
  });

  it("whose backing format was never said is refused", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("base"), "4M");
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", at("disk"), "4M");
    const disk = await open(at("disk"), "r+");
    const name = Buffer.from("base");
    await disk.write(name, 0, name.length, 1024);
    const field = Buffer.alloc(12);
    field.writeBigUInt64BE(1024n);
    field.writeUInt32BE(name.length, 8);
    await disk.write(field, 0, field.length, 8);
    await disk.close();
    expect((await qemuInfo(at("disk")))["backing-filename"]).toBe("base");
    await expect(walk(at("disk"), "qcow2")).rejects.toThrow("does not say the format");
  });
});

describe("a root disk", () => {
  const files = plainFiles;

  it("made as an overlay is qcow2 on the image, as large as the flavor wants", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("image"), "8M");
    const image = await walk(at("image"), "qcow2");
    const made = await createRoot(
      { runTool, files },
      { image, mode: "overlay", path: at("root"), sizeBytes: 64 * MIB },
    );
    expect(made).toEqual({ format: "qcow2" });
    const layers = await walk(at("root"), "qcow2");
    expect(layers.map(layer => [layer.path, layer.virtualSizeBytes])).toEqual([
      [at("root"), 64 * MIB],
      [at("image"), 8 * MIB],
    ]);
    await tool("qemu-img", "check", "-q", "-f", "qcow2", at("root"));
  });

  it("made as an overlay of a raw image never looks into it", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("image"), "8M");
    const image = await walk(at("image"), "raw");
    await createRoot({ runTool, files }, { image, mode: "overlay", path: at("root"), sizeBytes: MIB });
    const info = await qemuInfo(at("root"));
    expect(info["backing-filename-format"]).toBe("raw");
  });

  it.each<ImageFormat>(["raw", "qcow2"])(
    "copied from a %s image has its bytes, and zeros to its end",
    async format => {
      const content = Buffer.concat([Buffer.alloc(MIB, "ferry"), Buffer.alloc(MIB)]);
      await writeFile(at("plain"), content);
      await tool("qemu-img", "convert", "-f", "raw", "-O", format, at("plain"), at("image"));
      const image = await walk(at("image"), format);
      const made = await createRoot(
        { runTool, files },
        { image, mode: "copy", path: at("root"), sizeBytes: 16 * MIB },
      );
      expect(made).toEqual({ format: "raw" });
      const root = await readFile(at("root"));
      expect(root.length).toBe(16 * MIB);
      expect(root.subarray(0, content.length).equals(content)).toBe(true);
      expect(root.subarray(content.length).every(byte => byte === 0)).toBe(true);
      expect((await stat(at("root"))).blocks * 512).toBeLessThan(4 * MIB);
    },
  );

  it("copied from a chain has the content of all layers, whatever their names", async () => {
    const names = ["base, raw", 'middle "quoted"', "top:colon"].map(at);
    const [base = "", middle = "", top = ""] = names;
    await writeFile(base, Buffer.alloc(2 * MIB, "base"));
    const create = (path: string, format: string, backing: string) =>
      tool("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", format, "-b", backing, `${path}`, "2M");
    await create(middle, "raw", base);
    await create(top, "qcow2", middle);
    const image = await walk(top, "qcow2");
    await createRoot({ runTool, files }, { image, mode: "copy", path: at("root"), sizeBytes: 2 * MIB });
    expect((await readFile(at("root"))).equals(await readFile(base))).toBe(true);
  });

  it("follows no backing file that was not there when the image was checked", async () => {
    await writeFile(at("secret"), Buffer.alloc(MIB, "secret"));
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("image"), "1M");
    const image = await walk(at("image"), "qcow2");
    const rebase = ["rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", at("secret")];
    await tool("qemu-img", ...rebase, at("image"));
    await createRoot({ runTool, files }, { image, mode: "copy", path: at("root"), sizeBytes: MIB });
    expect((await readFile(at("root"))).every(byte => byte === 0)).toBe(true);
  });

  it("is copied from another file system, where the kernel does not", async () => {
    const other = at("other");
    await mkdir(other);
    await tool("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", other);
    try {
      const content = Buffer.alloc(4 * MIB);
      content.fill("data", MIB, 2 * MIB);
      await writeFile(join(other, "image"), content);
      const places = { directories: [other] };
      const image = await walkImageChain(nativeFiles(), places, {
        path: join(other, "image"),
        format: "raw",
      });
      const edges = { runTool, files: nativeFiles() };
      await createRoot(edges, { image, mode: "copy", path: at("root"), sizeBytes: 8 * MIB });
      const disk = await readFile(at("root"));
      expect(disk.subarray(0, 4 * MIB).equals(content)).toBe(true);
      expect(disk.length).toBe(8 * MIB);
      expect((await stat(at("root"))).blocks * 512).toBeLessThan(3 * MIB);
    } finally {
      await tool("umount", "--lazy", other);
    }
  });

  it("is never copied from a file that took the image's place", async () => {
    await writeFile(at("image"), Buffer.alloc(MIB));
    const image = await walk(at("image"), "raw");
    await rename(at("image"), at("kept"));
    await writeFile(at("image"), Buffer.alloc(MIB, "other"));
    const copy = createRoot({ runTool, files }, { image, mode: "copy", path: at("root"), sizeBytes: MIB });
    await expect(copy).rejects.toMatchObject({ code: "conflict" });
    await expect(stat(at("root"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("smaller than its image, or over a file that exists, is refused and leaves everything as it was", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("image"), "8M");
    const image = await walk(at("image"), "qcow2");
    const small = createRoot(
      { runTool, files },
      { image, mode: "overlay", path: at("root"), sizeBytes: 4 * MIB },
    );
    await expect(small).rejects.toMatchObject({ code: "refused", detail: { have: `${8 * MIB} bytes` } });
    await writeFile(at("root"), "precious");
    const over = createRoot(
      { runTool, files },
      { image, mode: "overlay", path: at("root"), sizeBytes: 8 * MIB },
    );
    await expect(over).rejects.toMatchObject({ code: "already-exists" });
    expect(await readFile(at("root"), "utf8")).toBe("precious");
  });

  it("whose making fails is gone", async () => {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("image"), "8M");
    const image = await walk(at("image"), "qcow2");
    const failing = createRoot(
      { runTool: argv => runTool(["false", ...argv], limits), files },
      { image, mode: "overlay", path: at("root"), sizeBytes: 8 * MIB },
    );
    await expect(failing).rejects.toMatchObject({ code: "failed" });
    await expect(stat(at("root"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

const probe = async (path: string) => {
  const disk = await readFile(path);
  return judgeSwap(disk.subarray(0, SWAP_PROBE_BYTES), disk.subarray(-SWAP_PROBE_BYTES), disk.length);
};

describe("swap", () => {
  it("made by us is swap to blkid, swaplabel and file", async () => {
    await createSwapDisk(at("swap"), 16 * MIB, swapSpaceOf(16 * MIB, UUID, "swap0"));
    expect(await tool("blkid", "-p", "-o", "export", at("swap"))).toContain("TYPE=swap");
    const label = await tool("swaplabel", at("swap"));
    expect(label).toContain("swap0");
    expect(label).toContain(UUID);
    expect(await tool("file", "-b", at("swap"))).toContain("swap file");
  });

  it("made by mkswap is what we would make, byte for byte", async () => {
    await truncate(await emptyFile("swap"), 16 * MIB);
    await tool("mkswap", "-q", "-L", "swap0", "-U", UUID, at("swap"));
    await createSwapDisk(at("ours"), 16 * MIB, swapSpaceOf(16 * MIB, UUID, "swap0"));
    expect((await readFile(at("swap"))).equals(await readFile(at("ours")))).toBe(true);
    expect(await probe(at("swap"))).toMatchObject({ drop: true, swap: { uuid: UUID, label: "swap0" } });
  });

  it("of the other byte order, made by us, is swap to blkid and swaplabel too", async () => {
    await createSwapDisk(at("swap"), 16 * MIB, { ...swapSpaceOf(16 * MIB, UUID, "big"), byteOrder: "big" });
    expect(await tool("blkid", "-p", "-o", "export", at("swap"))).toContain("TYPE=swap");
    expect(await tool("swaplabel", at("swap"))).toContain(UUID);
    expect(await probe(at("swap"))).toMatchObject({ drop: true, swap: { byteOrder: "big", label: "big" } });
  });

  it("that was made something else is copied", async () => {
    await createSwapDisk(at("swap"), 16 * MIB, swapSpaceOf(16 * MIB, UUID, "swap0"));
    await tool("mkfs.ext4", "-q", "-F", at("swap"));
    expect(await probe(at("swap"))).toMatchObject({ drop: false });
  });
});

const emptyFile = async (name: string): Promise<string> => {
  await writeFile(at(name), "");
  return at(name);
};

describe("an ephemeral disk", () => {
  it("is a sparse ext4 with its label, that fsck finds clean", async () => {
    const disk = { path: at("ephemeral"), sizeBytes: 64 * MIB, label: ephemeralLabel(0) };
    await createEphemeralDisk(runTool, disk);
    expect(await tool("blkid", "-p", "-o", "export", disk.path)).toMatch(
      /LABEL=ephemeral0\n[\s\S]*TYPE=ext4/,
    );
    await tool("e2fsck", "-fn", disk.path);
    const { size, blocks } = await stat(disk.path);
    expect(size).toBe(64 * MIB);
    expect(blocks * 512).toBeLessThan(16 * MIB);
  });

  it("is never made over a file, and is gone when making it fails", async () => {
    await writeFile(at("ephemeral"), "precious");
    const over = createEphemeralDisk(runTool, { path: at("ephemeral"), sizeBytes: 64 * MIB, label: "x" });
    await expect(over).rejects.toMatchObject({ code: "already-exists" });
    const label = "a label that is too long for ext4";
    const failing = createEphemeralDisk(argv => runTool(["false", ...argv], limits), {
      path: at("other"),
      sizeBytes: 64 * MIB,
      label,
    });
    await expect(failing).rejects.toMatchObject({ code: "failed" });
    await expect(stat(at("other"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("a config drive", () => {
  const kindOf = async (path: string) => configDriveKind(await readFile(path));

  it.each([
    ["genisoimage", "iso9660"],
    ["mkfs.vfat 12", "vfat"],
    ["mkfs.vfat 16", "vfat"],
    ["mkfs.vfat 32", "vfat"],
  ] as const)("of %s is recognised by its label, and without the label is none", async (maker, kind) => {
    for (const label of ["config-2", "other"]) {
      const path = await emptyFile(label);
      if (kind === "iso9660") {
        await writeFile(at("metadata"), "{}");
        await tool("genisoimage", "-quiet", "-V", label, "-o", path, at("metadata"));
        expect(isIso9660(await readFile(path))).toBe(true);
      } else {
        await truncate(path, 64 * MIB);
        await tool("mkfs.vfat", "-F", maker.slice(-2), "-n", label.toUpperCase(), path);
      }
      expect(await kindOf(path)).toBe(label === "config-2" ? kind : undefined);
    }
  });
});
