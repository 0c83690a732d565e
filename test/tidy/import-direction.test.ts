/** The ring rule of the architecture: who may import whom. A new folder without a row is refused too. */

import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { describe, expect, it } from "vitest";

/** Top-level folder → folders it may import from (itself always). */
const ALLOWED: Record<string, readonly string[]> = {
  proto: ["package.json"],
  native: [],
  agent: ["proto", "native"],
  controller: ["proto"],
  cli: ["proto"],
  bench: ["proto", "native", "agent", "controller", "cli"],
  test: ["proto", "native", "agent", "controller", "cli", "bench"],
};

/** The only folder of the agent that may touch the bindings. */
const NATIVE_EDGE = join("agent", "os");

/** Inside the controller a ring may import only rings to its right. */
const CONTROLLER_RINGS = ["api", "migration", "saga", "scheduler", "placement", "policy", "fleet", "store"];
const RINGS_BELOW: Record<string, readonly string[]> = {
  api: ["migration", "policy", "fleet", "store", "placement", "scheduler"],
  migration: ["saga", "scheduler", "placement", "fleet", "store", "policy"],
  saga: ["store"],
  scheduler: ["placement", "fleet", "store"],
  placement: ["store"],
  policy: ["store"],
  fleet: ["store"],
  store: [],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)];
  return found.map(match => ({ from: file, to: normalize(join(dirname(file), match[1] ?? "")) }));
}

const files = globSync("{proto,agent,controller,native,cli,bench,test}/**/*.ts", {
  exclude: path => path.includes("node_modules") || path.includes(`${join("proto", "gen")}`),
});
const imports = files.flatMap(importsOf);
const top = (path: string) => path.split(sep)[0] ?? "";

describe("imports", () => {
  it("are really being looked at", () => {
    expect(files.length).toBeGreaterThan(3);
  });

  it("follow the direction between folders", () => {
    const wrong = imports.filter(
      ({ from, to }) => top(from) !== top(to) && !ALLOWED[top(from)]?.includes(top(to)),
    );
    expect(wrong).toEqual([]);
  });

  it("reach native from one folder of the agent only", () => {
    const wrong = imports.filter(
      ({ from, to }) => top(from) === "agent" && top(to) === "native" && !from.startsWith(NATIVE_EDGE),
    );
    expect(wrong).toEqual([]);
  });

  it("never go back up the controller's rings", () => {
    const ring = (path: string) => path.split(sep)[1] ?? "";
    const inRings = imports.filter(({ from, to }) =>
      [from, to].every(path => top(path) === "controller" && CONTROLLER_RINGS.includes(ring(path))),
    );
    const wrong = inRings.filter(
      ({ from, to }) => ring(from) !== ring(to) && !RINGS_BELOW[ring(from)]?.includes(ring(to)),
    );
    expect(wrong).toEqual([]);
  });
});
