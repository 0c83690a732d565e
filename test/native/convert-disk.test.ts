/**
 * Copied disks that become one file of another format, with the qemu-img that really does it: what the guest sees is the
 * same, what it wrote is never taken for a header, and an interruption at any moment is gone on from.
 */

import { open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { factsAt } from "../../agent/disk/file-identity.js";
import { guestContent } from "../../agent/disk/guest-content.js";
import { walkImageChain } from "../../agent/disk/image-rules.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { runTool } from "../../agent/os/tool.js";
import { digestFile } from "../../agent/transfer/digest-file.js";
import { type ConvertEdges, convertDisk } from "../../agent/verbs/convert-disk.js";
import type { GrowCall } from "../../agent/verbs/grow-disk.js";
import { PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { temporaryDirectory } from "../unit/disk/temporary-directory.js";
import { diskEdges } from "./support/disk-edges.js";

const MIB = 1024 ** 2;
const files = nativeFiles();
const places = () => ({ directories: [directory] });
const tool = (...argv: [string, ...string[]]) => runTool(argv, { timeoutMs: 60_000 });

let directory: string;
let documents: Map<string, unknown>;
let made: Map<string, { device: string; inode: string; birthNs: string }>;
const at = (name: string) => join(directory, name);

beforeEach(async () => {
  directory = await temporaryDirectory();
  documents = new Map();
  made = new Map();
});

const call: GrowCall = {
  serverId: "s",
  migrationId: "m",
  signal: new AbortController().signal,
  note: () => {},
};

const edges = (changes: Partial<ConvertEdges> = {}): ConvertEdges => ({
  ...diskEdges(files, directory, documents),
  made: {
    identityOf: async path => made.get(path),
    record: (path, identity) => made.set(path, identity),
  },
  ...changes,
});

/** As if it had just been copied. */
async function copied(format: "raw" | "qcow2", convertTo: "raw" | "qcow2"): Promise<PlannedFile> {
  const path = at("disk");
  const { algorithm, rootDigest: digest, sizeBytes } = await digestFile(files, path);
  const line = CopiedFile.fromPartial({ id: "vda/0", path, mode: "copied", sizeBytes, algorithm, digest });
  documents.set("copy", { files: [line] });
  const facts = await factsAt(files, path);
  if (facts !== undefined) made.set(path, facts);
  const planned = { id: "vda/0", path, mode: "copied", permissions: 0o640, role: "root" };
  return PlannedFile.fromPartial({ ...planned, format, convertTo });
}

async function seen(format: "raw" | "qcow2") {
  const chain = await walkImageChain(files, places(), { path: at("disk"), format });
  const sizeBytes = chain[0]?.virtualSizeBytes ?? 0;
  const { digest } = await guestContent({ runTool, files }, chain, sizeBytes);
  return { layers: chain.length, sizeBytes, digest };
}

/** An overlay with data of its own over a base that has some, too. */
async function makeChain(): Promise<void> {
  const write = (image: string, pattern: number, from: string) =>
    tool("qemu-io", "-f", "qcow2", "-c", `write -P ${pattern} ${from} 1M`, image);
  await tool("qemu-img", "create", "-q", "-f", "qcow2", at("base"), "64M");
  await write(at("base"), 1, "1M");
  await write(at("base"), 2, "40M");
  await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", at("base"), "-F", "qcow2", at("disk"));
  await write(at("disk"), 3, "40M");
}

describe("a qcow2 image on a backing file", () => {
  beforeEach(makeChain);

  it.each(["raw", "qcow2"] as const)("becomes one %s file that the guest cannot tell from it", async to => {
    const planned = await copied("qcow2", to);
    const before = await seen("qcow2");
    const line = await convertDisk(planned, call, edges());
    expect(await seen(to)).toEqual({ ...before, layers: 1 });
    const { rootDigest, sizeBytes } = await digestFile(files, at("disk"));
    expect(line).toMatchObject({ mode: "copied", digest: rootDigest, sizeBytes });
    expect(line.changes).toMatchObject([
      {
        tool: "qemu-img convert",
        sizeBeforeBytes: 64 * MIB,
        sizeAfterBytes: 64 * MIB,
        holds: expect.stringContaining(before.digest),
      },
    ]);
    expect(line.changes[0]?.digestBefore).not.toBe(line.digest);
    // Sparse where the guest's disk is, with the permissions that were planned, and nothing left beside it.
    const { blocks, mode } = await stat(at("disk"));
    expect([blocks * 512 < 8 * MIB, mode & 0o777]).toEqual([true, 0o640]);
    expect((await readdir(directory)).sort()).toEqual(["base", "disk"]);
    expect(made.get(at("disk"))).toMatchObject({ inode: (await factsAt(files, at("disk")))?.inode });
  });

  it("keeps its name and content when the conversion is wrong", async () => {
    const planned = await copied("qcow2", "raw");
    const wrong: typeof runTool = async (argv, limits) => {
      const said = await runTool(argv, limits);
      if (argv[1] === "convert") {
        await using file = await open(String(argv.at(-1)), "r+");
        await file.write("x", 40 * MIB);
      }
      return said;
    };
    const before = await seen("qcow2");
    await expect(convertDisk(planned, call, edges({ runTool: wrong }))).rejects.toMatchObject({
      code: "corrupt",
    });
    expect(await seen("qcow2")).toEqual(before);
    expect(documents.has("converted vda/0")).toBe(false);
  });

  it("is converted all the same when it was interrupted, whatever had its name by then", async () => {
    const planned = await copied("qcow2", "raw");
    await writeFile(at("disk.part-m.converted"), "half of it");
    const before = await seen("qcow2");
    const line = await convertDisk(planned, call, edges());
    const whole = at("disk.part-m.converted");
    const received = at("disk.part-m.received");

    // Killed before the names changed, between the two, and before what was received was removed.
    await rename(at("disk"), whole);
    await writeFile(at("disk"), "what was received");
    made.set(at("disk"), (await factsAt(files, at("disk"))) ?? { device: "", inode: "", birthNs: "" });
    expect(await convertDisk(planned, call, edges())).toEqual(line);
    await rename(at("disk"), whole);
    await writeFile(received, "what was received");
    expect(await convertDisk(planned, call, edges())).toEqual(line);
    await writeFile(received, "what was received");
    expect(await convertDisk(planned, call, edges())).toEqual(line);
    expect(await seen("raw")).toMatchObject({ ...before, layers: 1 });
    expect((await readdir(directory)).sort()).toEqual(["base", "disk"]);
  });

  it("does not give its name away over a file that is somebody else's", async () => {
    const planned = await copied("qcow2", "raw");
    await convertDisk(planned, call, edges());
    await rename(at("disk"), at("disk.part-m.converted"));
    await writeFile(at("disk"), "somebody's");
    await expect(convertDisk(planned, call, edges())).rejects.toMatchObject({ code: "conflict" });
    await rm(at("disk"));
  });
});

describe("a raw disk whose guest wrote the header of an image with a secret as its backing file", () => {
  beforeEach(async () => {
    await writeFile(at("secret"), Buffer.alloc(MIB, 83));
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", at("secret"), "-F", "raw", at("crafted"));
    await using crafted = await open(at("crafted"));
    const bytes = Buffer.alloc(2 * MIB);
    const { bytesRead } = await crafted.read(bytes, 0, bytes.length, 0);
    await writeFile(at("disk"), bytes.subarray(0, Math.ceil(bytesRead / 512) * 512));
  });

  it("becomes a qcow2 image that holds that header as data, and a raw one again", async () => {
    const before = await seen("raw");
    await convertDisk(await copied("raw", "qcow2"), call, edges());
    expect(await seen("qcow2")).toEqual(before);
    documents.clear();
    await convertDisk(await copied("qcow2", "raw"), call, edges());
    expect(await seen("raw")).toEqual(before);
    expect(
      JSON.parse(await tool("qemu-img", "info", "--output=json", "-f", "raw", at("disk"))),
    ).toMatchObject({
      format: "raw",
    });
  });
});
