/** The journal of a part file: what was written is read again, and whatever is torn or damaged is not believed. */

import { createHash } from "node:crypto";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type JournalHeader, PartJournal } from "../../../agent/transfer/part-journal.js";
import { LEAF_BYTES } from "../../../agent/transfer/protocol.js";

const identity = { device: "8:1", inode: "7", birthNs: "1" };
const header: JournalHeader = {
  migrationId: "m",
  fileId: "vda/0",
  algorithm: "sha256",
  leafBytes: LEAF_BYTES,
  sizeBytes: 100 * LEAF_BYTES,
  source: { ...identity, mtimeNs: "1", ctimeNs: "1" },
  part: identity,
};
const digest = (leaf: number) => createHash("sha256").update(String(leaf)).digest();

let directory: string;
let file: FileHandle;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ferry-part-journal-"));
  file = await open(join(directory, "journal"), "w+");
  const journal = new PartJournal(file.fd);
  await journal.begin(header);
  for (let leaf = 0; leaf < 10; leaf += 1) await journal.recordData({ first: leaf, count: 1 }, digest(leaf));
  await journal.recordZero(50, 50);
  await journal.sync();
});

afterEach(async () => {
  await file.close();
  await rm(directory, { recursive: true });
});

describe("a journal", () => {
  it("says again what was verified", async () => {
    const content = await new PartJournal(file.fd).replay();
    expect(content?.header).toEqual(header);
    const runs = [...(content?.verified.runs() ?? [])].map(({ state, count }) => [state, count]);
    expect(runs).toEqual([
      ["data", 10],
      ["unknown", 40],
      ["zero", 50],
    ]);
    expect(content?.completeRoot).toBeUndefined();
  });

  it("goes on after a torn tail, which is cut off", async () => {
    const { size } = await file.stat();
    await file.truncate(size - 3);
    const journal = new PartJournal(file.fd);
    expect((await journal.replay())?.verified.stateOf(60)).toBe("unknown");
    await journal.recordComplete(digest(1));
    const again = await new PartJournal(file.fd).replay();
    expect(again?.completeRoot).toEqual(digest(1));
    expect(again?.verified.stateOf(9)).toBe("data");
  });

  it("never vouches for a leaf with another digest, whatever is damaged", async () => {
    const { size } = await file.stat();
    const whole = Buffer.alloc(size);
    await file.read(whole, 0, size, 0);
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(whole);
        damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
        await file.truncate(0);
        await file.write(damaged, 0, size, 0);
        const content = await new PartJournal(file.fd).replay();
        for (let leaf = 0; leaf < 50; leaf += 1) {
          const state = content?.verified.stateOf(leaf) ?? "unknown";
          if (state === "data") expect(content?.verified.digestOf(leaf)).toEqual(digest(leaf));
          else expect(state).toBe("unknown");
        }
      }),
      { numRuns: 150 },
    );
  });

  it("that is empty or foreign is no journal", async () => {
    await file.truncate(0);
    expect(await new PartJournal(file.fd).replay()).toBeUndefined();
    await file.write(Buffer.from("not a journal, but long enough to look at"), 0, 40, 0);
    expect(await new PartJournal(file.fd).replay()).toBeUndefined();
  });
});
