/** Servers on one base image that come to the same target at the same time. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Documents } from "../../../agent/journal/documents.js";
import { Journal } from "../../../agent/journal/journal.js";
import { awaitArrivals, otherArrivals, whoPlansWith } from "../../../agent/verbs/other-arrivals.js";
import type { Call, World } from "../../../agent/verbs/verb.js";

const BASE = "/images/base.qcow2";
const LATER = "later";

let directory: string;
let journal: Journal;
let documents: Documents;
let present: Set<string>;
let notes: string[];
let sleeps: number;
/** What happens while the later one waits. */
let meanwhile: () => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ferry-arrivals-"));
  journal = Journal.open(directory);
  documents = new Documents(journal, () => 1);
  present = new Set();
  notes = [];
  sleeps = 0;
  meanwhile = () => undefined;
  plan("first", "copied");
});

afterEach(() => {
  journal.close();
  rmSync(directory, { recursive: true });
});

function plan(migrationId: string, mode: string): void {
  documents.put(`server-of-${migrationId}`, migrationId, "target", {
    plan: { files: [{ path: BASE, mode }] },
  });
  documents.put(`server-of-${migrationId}`, migrationId, "claim", {});
}

const world = () =>
  ({
    documents,
    exists: async (path: string) => present.has(path),
    sleep: async () => {
      sleeps += 1;
      if (sleeps === 3) meanwhile();
      if (sleeps > 10) throw new Error("waited in vain");
    },
  }) as unknown as World;

const call = { migrationId: LATER, note: (text: string) => notes.push(text) } as unknown as Call;

it("the later one waits until the base has its name, and says so once", async () => {
  meanwhile = () => present.add(BASE);
  await awaitArrivals([BASE], call, world());
  expect(sleeps).toBe(3);
  expect(notes).toEqual([`waits for ${BASE}, which migration first is bringing`]);
});

it("the later one goes on when the first was withdrawn", async () => {
  meanwhile = () => documents.remove("server-of-first", "first", "claim");
  await awaitArrivals([BASE], call, world());
  expect(sleeps).toBe(3);
});

it("nobody waits for a copy that is done, for files of their own, or for what is only used", async () => {
  expect(otherArrivals(["/images/other.qcow2"], call, world())).toEqual([]);
  documents.put("server-of-first", "first", "copy", {});
  expect(otherArrivals([BASE], call, world())).toEqual([]);
  plan("user", "present");
  expect(otherArrivals([BASE], call, world())).toEqual([]);
});

it("a base that another open migration counts on is needed", () => {
  plan("user", "present");
  documents.remove("server-of-first", "first", "claim");
  expect(whoPlansWith(BASE, LATER, world())).toBe("migration user");
  expect(whoPlansWith(BASE, "user", world())).toBeUndefined();
});
