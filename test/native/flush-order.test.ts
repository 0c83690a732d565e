/**
 * In which order the addons write and flush: what a record of the transfer's journal says was on the device before the record
 * was written, the record before anything else is done, and both folders of a rename before that is over. The calls
 * are written down by a library that is preloaded (support/flush-log.c).
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const RELEASE = join(ROOT, "native", "build", "Release");
const LEAF_BYTES = 256 * 1024;

interface Call {
  readonly thread: string;
  readonly name: string;
  /** Of the file. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly bytes: Buffer;
  /** Lines of the log. */
  readonly begun: number;
  readonly ended: number;
}

let directory: string;
let calls: Call[];
const called = (name: string, file: RegExp) =>
  calls.filter(call => call.name === name && file.test(call.file));

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ferry-flush-"));
  const library = join(directory, "flush-log.so");
  const log = join(directory, "log");
  const source = join(import.meta.dirname, "support", "flush-log.c");
  execFileSync("gcc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
  const addons = ["transfer", "fastio"].map(name => join(RELEASE, `${name}.node`));
  const exercise = join(import.meta.dirname, "exercise", "flush-order.mjs");
  execFileSync(process.execPath, [exercise, ...addons, directory], {
    env: { ...process.env, LD_PRELOAD: library, FLUSH_LOG: log },
  });
  calls = callsIn(readFileSync(log, "utf8"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function callsIn(log: string): Call[] {
  const lines = log.trimEnd().split("\n");
  const found: Call[] = [];
  for (const [begun, line] of lines.entries()) {
    const [sign, thread = "", name = "", path = "", offset, length, bytes = ""] = line.split(" ");
    if (sign !== "+") continue;
    const ended = lines.indexOf(`-${line.slice(1)}`, begun);
    const numbers = { offset: Number(offset), length: Number(length), begun, ended };
    found.push({ thread, name, file: basename(path), bytes: Buffer.from(bytes, "hex"), ...numbers });
  }
  return found;
}

/** `data` records of the journal: which leaves they speak of. */
const leavesOf = ({ bytes }: Call) => ({ first: bytes.readUInt32LE(1), count: bytes.readUInt32LE(5) });
const DATA = 2;

describe("of a transfer", () => {
  const journal = /^journal-/;
  const part = /^copy-/;

  it("what is recorded was flushed before", () => {
    const records = called("pwrite", journal).filter(({ bytes }) => bytes[0] === DATA);
    expect(records.length).toBeGreaterThan(1);
    for (const record of records) {
      const { first, count } = leavesOf(record);
      const [from, to] = [first * LEAF_BYTES, (first + count) * LEAF_BYTES];
      const spokenOf = called("pwrite", part).filter(
        ({ offset, length, begun }) => begun < record.begun && offset < to && offset + length > from,
      );
      expect(spokenOf.length).toBeGreaterThan(0);
      for (const { ended } of spokenOf) {
        const isBetween = (flush: Call) => flush.begun > ended && flush.ended < record.begun;
        expect(called("fdatasync", part).some(isBetween)).toBe(true);
      }
    }
  });

  it("a record is flushed before whoever wrote it does anything else to a file", () => {
    for (const record of called("pwrite", journal)) {
      const next = calls.find(
        ({ thread, begun, name, file }) =>
          thread === record.thread && begun > record.ended && !(name === "pwrite" && journal.test(file)),
      );
      expect(next).toMatchObject({ name: "fdatasync", file: record.file });
    }
  });
});

it("of a rename both folders are flushed before it is over", () => {
  const [rename] = called("renameat2", /^b$/);
  const flushed = (folder: string) =>
    called("fsync", new RegExp(`^${folder}$`)).some(({ begun }) => begun > (rename?.ended ?? Infinity));
  expect([flushed("from"), flushed("into")]).toEqual([true, true]);
});
