/** docs/constraints.md has a row for each check, and no row for anything else; what it names as a test exists. */

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CHECKS } from "../../../agent/constraint/checks.js";
import { FLEET_CHECKS } from "../../../controller/migration/check-server.js";

const rows = readFileSync("docs/constraints.md", "utf8")
  .split("\n")
  .filter(line => line.startsWith("| `"))
  .map(line => line.split("|").map(cell => cell.trim()))
  .map(([, name = "", , , tests = "", remedy = ""]) => ({ name: name.replaceAll("`", ""), tests, remedy }));

const placesOf = (tests: string): string[] =>
  tests
    .split(", ")
    .map(name => (name.startsWith("`") ? name.replaceAll("`", "") : `test/unit/constraint/${name}`));

describe("docs/constraints.md", () => {
  it("names every check once, and nothing else, in the order in which they are asked", () => {
    const names = [...Object.keys(FLEET_CHECKS), ...CHECKS.map(({ name }) => name)];
    expect(rows.map(({ name }) => name)).toEqual(names);
  });

  it("names a test that is there and something to do for each", () => {
    const places = rows.flatMap(({ tests }) => placesOf(tests));
    expect(places.filter(place => !existsSync(place) && !existsSync(`${place}.test.ts`))).toEqual([]);
    expect(rows.filter(({ remedy }) => remedy === "")).toEqual([]);
  });

  it("says for each what a live move would meet", () => {
    const lines = readFileSync("docs/constraints.md", "utf8")
      .split("\n")
      .filter(line => line.startsWith("| `"));
    const live = lines.map(line => line.split("|").map(cell => cell.trim())[6] ?? "");
    expect(live.filter(cell => cell === "")).toEqual([]);
    const holds = CHECKS.filter(check => check.live !== undefined || check.holdsLive).map(({ name }) => name);
    const said = lines
      .filter((_, index) => live[index] !== "as cold")
      .map(line => /`([^`]+)`/.exec(line)?.[1]);
    expect(said).toEqual(holds);
  });

  it("says where each check reads", () => {
    expect(CHECKS.filter(({ source }) => source === "")).toEqual([]);
  });
});
