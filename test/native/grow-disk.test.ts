/**
 * Disks that grow, with the tools that really do it: whatever is interrupted or wrong, the bytes that were copied are the
 * same afterwards, or the answer is a fault.
 */

import { open, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { readExtFileSystem } from "../../agent/disk/ext-file-system.js";
import { guestContent } from "../../agent/disk/guest-content.js";
import { walkImageChain } from "../../agent/disk/image-rules.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { type RunTool, runTool } from "../../agent/os/tool.js";
import { digestFile } from "../../agent/transfer/digest-file.js";
import { type GrowCall, type GrowEdges, growDisk } from "../../agent/verbs/grow-disk.js";
import { PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { temporaryDirectory } from "../unit/disk/temporary-directory.js";
import { diskEdges } from "./support/disk-edges.js";

const MIB = 1024 ** 2;
const files = nativeFiles();
const tool = (...argv: [string, ...string[]]) => runTool(argv, { timeoutMs: 60_000 });

let directory: string;
let notes: string[];
let documents: Map<string, unknown>;
const at = (name: string) => join(directory, name);

beforeEach(async () => {
  directory = await temporaryDirectory();
  notes = [];
  documents = new Map();
});

/** As if the agent had died right before it noted that the disk has grown. */
const forgetOutcome = () => documents.delete("grown vda/0");

const call: GrowCall = {
  serverId: "s",
  migrationId: "m",
  signal: new AbortController().signal,
  note: text => notes.push(text),
};

const edges = (changes: Partial<GrowEdges> = {}): GrowEdges => ({
  ...diskEdges(files, directory, documents),
  ...changes,
});

/** As if it had just been copied. */
async function copied(name: string, format: "raw" | "qcow2", newSizeBytes: number): Promise<PlannedFile> {
  const { algorithm, rootDigest, sizeBytes } = await digestFile(files, at(name));
  const line = CopiedFile.fromPartial({
    id: "vda/0",
    path: at(name),
    mode: "copied",
    sizeBytes,
    algorithm,
    digest: rootDigest,
  });
  documents.set("copy", { files: [line] });
  return PlannedFile.fromPartial({
    id: "vda/0",
    path: at(name),
    mode: "copied",
    format,
    newSizeBytes,
    role: "ephemeral",
  });
}

const makeExt = async (name: string, sizeMib: number): Promise<void> => {
  await writeFile(at(name), "");
  await tool("truncate", "-s", `${sizeMib}M`, at(name));
  await tool("mkfs.ext4", "-q", "-F", at(name));
};

async function extAt(name: string) {
  await using file = await open(at(name));
  const head = Buffer.alloc(2048);
  await file.read(head, 0, 2048, 0);
  return readExtFileSystem(head);
}

const patch = async (name: string, position: number, bytes: Buffer): Promise<void> => {
  await using file = await open(at(name), "r+");
  await file.write(bytes, 0, bytes.length, position);
};

describe("a raw disk", () => {
  it("grows by a hole, and its bytes are those that were copied", async () => {
    await writeFile(at("disk"), Buffer.alloc(3 * MIB + 512, 7));
    const planned = await copied("disk", "raw", 8 * MIB);
    const line = await growDisk(planned, call, edges());
    expect(line).toMatchObject({ sizeBytes: 8 * MIB, mode: "copied" });
    expect(line.changes).toMatchObject([
      { tool: "ftruncate", sizeBeforeBytes: 3 * MIB + 512, sizeAfterBytes: 8 * MIB },
    ]);
    expect((await digestFile(files, at("disk"))).rootDigest).toBe(line.digest);
  });

  it("may be grown again after an interruption", async () => {
    await writeFile(at("disk"), Buffer.alloc(MIB, 7));
    const planned = await copied("disk", "raw", 8 * MIB);
    const first = await growDisk(planned, call, edges());
    forgetOutcome();
    expect(await growDisk(planned, call, edges())).toEqual(first);
  });

  it("that does not hold what was copied is a fault", async () => {
    await writeFile(at("disk"), Buffer.alloc(MIB, 7));
    const planned = await copied("disk", "raw", 8 * MIB);
    await patch("disk", 4096, Buffer.from([8]));
    await expect(growDisk(planned, call, edges())).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("an ext4 directly on a raw disk", () => {
  it("grows with it", async () => {
    await makeExt("disk", 32);
    const line = await growDisk(await copied("disk", "raw", 64 * MIB), call, edges());
    expect(line.changes.map(change => change.tool)).toEqual(["ftruncate", "resize2fs"]);
    expect(line.changes[1]?.version).toMatch(/^1\./);
    expect(await extAt("disk")).toEqual({ sizeBytes: 64 * MIB, isClean: true });
    await tool("e2fsck", "-fn", at("disk"));
    expect(notes).toEqual([]);
  });

  it("comes to the same end when resize2fs is killed on the way", async () => {
    await makeExt("disk", 32);
    const planned = await copied("disk", "raw", 64 * MIB);
    // It has done some of its work, and nothing tells how much.
    const dying = edges({
      runTool: async (argv, limits) => {
        const said = await runTool(argv, limits);
        if (argv[0] !== "resize2fs") return said;
        await patch("disk", 5 * MIB, Buffer.alloc(MIB, 9));
        throw new Error("the agent dies here");
      },
    });
    await expect(growDisk(planned, call, dying)).rejects.toThrow("the agent dies here");
    expect(await extAt("disk")).toMatchObject({ sizeBytes: 64 * MIB });
    const line = await growDisk(planned, call, edges());
    expect(line.changes.map(change => change.tool)).toEqual(["ftruncate", "resize2fs"]);
    expect(await extAt("disk")).toEqual({ sizeBytes: 64 * MIB, isClean: true });
    await expect(stat(`${at("disk")}.part-m.saved`)).rejects.toThrow("ENOENT");
  });

  it("that has grown is not touched again when only the answer was lost", async () => {
    await makeExt("disk", 32);
    const planned = await copied("disk", "raw", 64 * MIB);
    const line = await growDisk(planned, call, edges());
    expect(await growDisk(planned, call, edges())).toEqual(line);
    expect((await digestFile(files, at("disk"))).rootDigest).toBe(line.digest);
  });

  it.each([
    ["was not unmounted cleanly", 1024 + 0x3a, Buffer.from([0, 0])],
    ["e2fsck does not find it sound", 1024 + 0x0c, Buffer.from([1, 2, 3, 4])],
  ])("that %s is left to the guest, which is told", async (why, position, bytes) => {
    await makeExt("disk", 32);
    await patch("disk", position, bytes);
    const line = await growDisk(await copied("disk", "raw", 64 * MIB), call, edges());
    expect(line.changes.map(change => change.tool)).toEqual(["ftruncate"]);
    expect(notes.join()).toContain(why);
  });

  it("behind a partition table is none of ours", async () => {
    await makeExt("disk", 32);
    await patch("disk", 450, Buffer.from([0x83]));
    await patch("disk", 510, Buffer.from([0x55, 0xaa]));
    expect(await extAt("disk")).toBeUndefined();
  });
});

describe("a qcow2 disk", () => {
  /** An overlay that is smaller than its base: where it grows, the base must not shine through. */
  async function overlay(): Promise<void> {
    await tool("qemu-img", "create", "-q", "-f", "qcow2", at("base"), "16M");
    await tool("qemu-io", "-f", "qcow2", "-c", "write -P 5 1M 12M", at("base"));
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", at("base"), "-F", "qcow2", at("disk"), "8M");
    await tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 2M 128k", at("disk"));
  }
  const content = async (lengthBytes: number) =>
    guestContent(
      edges(),
      await walkImageChain(files, edges().places, { path: at("disk"), format: "qcow2" }),
      lengthBytes,
    );

  it("shows its guest the same bytes afterwards, and zeros behind them", async () => {
    await overlay();
    const before = await content(8 * MIB);
    const line = await growDisk(await copied("disk", "qcow2", 32 * MIB), call, edges());
    expect(await content(8 * MIB)).toEqual({ ...before, isZeroBehind: true });
    expect(line.changes).toMatchObject([
      { tool: "qemu-img resize", sizeBeforeBytes: 8 * MIB, sizeAfterBytes: 32 * MIB },
    ]);
    expect(line.changes[0]?.holds).toContain(before.digest);
    await tool("qemu-img", "check", "-q", "-f", "qcow2", at("disk"));
  });

  it("has the digest of the same bytes in a raw file", async () => {
    await overlay();
    await tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", at("disk"), at("flat"));
    expect((await content(8 * MIB)).digest).toBe((await digestFile(files, at("flat"))).rootDigest);
  });

  it("is grown again after an interruption, and measured by what it held before the first attempt", async () => {
    await overlay();
    const planned = await copied("disk", "qcow2", 32 * MIB);
    await growDisk(planned, call, edges());
    forgetOutcome();
    const again = await growDisk(planned, call, edges());
    expect(again.changes[0]).toMatchObject({ sizeBeforeBytes: 8 * MIB });
    forgetOutcome();
    await tool("qemu-io", "-f", "qcow2", "-c", "write -P 9 4M 64k", at("disk"));
    await expect(growDisk(planned, call, edges())).rejects.toMatchObject({ code: "corrupt" });
  });

  it("whose clusters are compressed is read as well", async () => {
    await overlay();
    await tool("qemu-img", "convert", "-c", "-f", "qcow2", "-O", "qcow2", at("disk"), at("small"));
    const chain = await walkImageChain(files, edges().places, { path: at("small"), format: "qcow2" });
    // Clusters are decompressed by many threads, and the C library would give each of them 64 MiB of addresses. Their stacks, as
    // many as a busy machine has QEMU start (64 of 8 MiB), find room.
    const tightly: RunTool = (argv, limits) => runTool(argv, { ...limits, memoryBytes: 672 * MIB });
    const { digest } = await guestContent({ ...edges(), runTool: tightly }, chain, 8 * MIB);
    expect(digest).toBe((await content(8 * MIB)).digest);
  });
});
