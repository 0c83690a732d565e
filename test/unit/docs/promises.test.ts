/** docs/promises.md names test files that are there. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const FILE = /`((?:unit|proofs|simulation|native|lab|postgres)\/[\w./-]+\.test\.ts)`/g;

it("docs/promises.md names test files that are there", () => {
  const page = readFileSync(join(root, "docs/promises.md"), "utf8");
  const files = [...page.matchAll(FILE)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter(file => !existsSync(join(root, "test", file)))).toEqual([]);
});
