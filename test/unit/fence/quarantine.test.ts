import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Quarantine } from "../../../agent/fence/quarantine.js";
import { Journal } from "../../../agent/journal/journal.js";

let folder: string;
let journal: Journal;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-quarantine-"));
  // Stands for the journal's reserve, which takes its time to write.
  writeFileSync(join(folder, "reserve"), "");
  journal = Journal.open(folder);
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

const file = () => join(folder, "quarantine");

it("a quarantine is what the hook reads, in one line, until the controller ends it", async () => {
  const quarantine = new Quarantine(journal, folder);
  expect(await quarantine.set("")).toBe(false);
  expect(existsSync(file())).toBe(false);
  expect(await quarantine.set("restored\nfrom a backup")).toBe(true);
  expect(await quarantine.set("restored\nfrom a backup")).toBe(false);
  expect(readFileSync(file(), "utf8")).toBe("restored from a backup\n");
  expect(await quarantine.set("")).toBe(true);
  expect(existsSync(file())).toBe(false);
});

it("a quarantine whose file was lost is there again before the agent serves, and with the next heartbeat", async () => {
  await new Quarantine(journal, folder).set("restored");
  rmSync(file());
  await new Quarantine(journal, folder).rebuild();
  expect(readFileSync(file(), "utf8")).toBe("restored\n");
  rmSync(file());
  await new Quarantine(journal, folder).set("restored");
  expect(existsSync(file())).toBe(true);
});
