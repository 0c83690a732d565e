/** docs/nova-scenarios.md names tests that exist: the file, and in it a test of that name. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const rows = readFileSync(join(root, "docs/nova-scenarios.md"), "utf8")
  .split("\n")
  .filter(line => line.startsWith("| ") && line.includes(".test.ts`"))
  .map(line => line.split("|").map(cell => cell.trim()))
  .map(([, scenario = "", test = ""]) => ({ scenario, test }));

/** "`file`: name" */
function foundIn(test: string): boolean {
  const [, file = "", name = ""] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
  const path = join(root, "test", file);
  return name !== "" && existsSync(path) && readFileSync(path, "utf8").includes(name);
}

it("docs/nova-scenarios.md has a test for each scenario, which is there under that name", () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter(({ test }) => !foundIn(test))).toEqual([]);
});
