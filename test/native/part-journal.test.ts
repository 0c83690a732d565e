/** The journal of a part file: what the engine wrote is read again, and whatever is torn or damaged is not believed. */

import { randomBytes } from "node:crypto";
import { copyFile, type FileHandle, open, writeFile } from "node:fs/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runsOf } from "../../agent/transfer/digest-tree.js";
import { type JournalContent, PartJournal } from "../../agent/transfer/part-journal.js";
import { LEAF_BYTES } from "../../agent/transfer/protocol.js";
import { createWorld, files, MIB, type World, writeSparse } from "./support/transfer-world.js";

let world: World;
let file: FileHandle;
let whole: Buffer;
let truth: JournalContent;

const replay = () => new PartJournal(file.fd).replay(files.newDigestTree, 102 * MIB);

/** Of a real copy: 40 MiB of data, a hole of 60 MiB, 2 MiB of data. */
beforeEach(async () => {
  world = await createWorld();
  await writeSparse(world.source("disk"), 102 * MIB, [
    [0, 40 * MIB],
    [100 * MIB, 2 * MIB],
  ]);
  const { listener, port } = await world.listener();
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  await world.send(port, ["disk"]);
  await expectation.done;
  const copy = `${world.directory}/journal`;
  await copyFile(`${world.target("disk")}.part-m1.journal`, copy);
  file = await open(copy, "r+");
  whole = await file.readFile();
  truth = (await replay()) as JournalContent;
});

afterEach(async () => {
  await file.close();
  await world.dispose();
});

it("says again what was verified, and under which root", async () => {
  expect(truth.header).toMatchObject({ migrationId: "m1", fileId: "disk", sizeBytes: 102 * MIB });
  const runs = [...runsOf(truth.verified)].map(({ state, count }) => [state, count]);
  expect(runs).toEqual([
    ["data", 160],
    ["zero", 240],
    ["data", 8],
  ]);
  expect(truth.completeRoot).toEqual(truth.verified.root());
});

it("goes on after a torn tail, which is cut off", async () => {
  await file.truncate(whole.length - 3);
  expect((await replay())?.completeRoot).toBeUndefined();
  await new PartJournal(file.fd).recordComplete(truth.verified.root());
  const again = await replay();
  expect(again?.completeRoot).toEqual(truth.completeRoot);
  expect(again?.verified.root()).toEqual(truth.verified.root());
});

it("never vouches for a leaf with another digest, whatever is damaged", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
      await file.truncate(0);
      await file.write(damaged, 0, damaged.length, 0);
      const verified = (await replay())?.verified;
      if (verified === undefined) return;
      for (const { first, count, state } of runsOf(verified)) {
        if (state !== "unknown")
          expect(verified.digestsOf(first, count)).toEqual(truth.verified.digestsOf(first, count));
      }
    }),
    { numRuns: 150 },
  );
});

it("is no journal when it is empty or foreign, of another size, or of digests that this build does not have", async () => {
  await file.truncate(0);
  expect(await replay()).toBeUndefined();
  await writeFile(file, randomBytes(LEAF_BYTES));
  expect(await replay()).toBeUndefined();
  const journal = new PartJournal(file.fd);
  await journal.clear();
  await journal.begin({ ...truth.header, algorithm: "md5" });
  expect(await replay()).toBeUndefined();
  expect((await journal.readHeader())?.part).toEqual(truth.header.part);
  await journal.clear();
  await journal.begin({ ...truth.header, sizeBytes: 2 ** 50 });
  expect(await replay()).toBeUndefined();
});
