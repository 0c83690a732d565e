/**
 * The simulation imports the real modules and fakes only the edges: what it replaces is what touches the machine, and
 * nothing that touches the machine escapes it.
 */

import { existsSync, globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { builtins, modules, PRODUCT, replacementFor } from "../simulation/edges/table.mjs";

/** Of Node: what computes and touches nothing. */
const PURE = ["node:path", "node:util", "node:assert", "node:assert/strict", "node:zlib", "node:events"];

/** Types only, or never reached in a simulated daemon; each with its reason. */
const EXEMPT: Record<string, string> = {
  "agent/disk/nbd-reader.ts": "reads a qcow2 through a real qemu-nbd; simulated disks are raw",
  "controller/systemd-notify.ts": "says nothing where systemd did not ask",
  "proto/server-address.ts": "asks whether a text is an IP address",
  "proto/health-and-reflection.ts": "part of the real gRPC server",
  "proto/metrics.ts": "simulated daemons have no metrics port",
};

const files = globSync(`{agent,controller,proto}/**/*.ts`, { exclude: path => path.startsWith("proto/gen") });
const sourceOf = new Map(files.map(file => [file, readFileSync(file, "utf8")]));
const replaced = new Set(Object.keys(modules).map(name => `${name}.ts`));

/** Imports of values; `import type` touches nothing. */
function importsOf(file: string): string[] {
  const found = (sourceOf.get(file) ?? "").matchAll(
    /^(?:import|export)\s+(?!type\b)[^;]*?from\s+"([^"]+)"/gm,
  );
  return [...found].map(match => match[1] ?? "");
}

/** Product files that are loaded where the table is in force. */
function loadedFrom(roots: readonly string[]): Set<string> {
  const loaded = new Set<string>();
  const visit = (file: string) => {
    if (loaded.has(file) || replaced.has(file)) return;
    loaded.add(file);
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith(".")) continue;
      const target = new URL(specifier, `file:///${file}`).pathname.slice(1).replace(/\.js$/, ".ts");
      if (sourceOf.has(target)) visit(target);
    }
  };
  for (const root of roots) visit(root);
  return loaded;
}

const loaded = [...loadedFrom(["agent/main.ts", "controller/main.ts"])];

describe("the simulation", () => {
  it("replaces modules that there are, by modules that there are", () => {
    for (const file of replaced) expect([file, sourceOf.has(file)]).toEqual([file, true]);
    for (const name of [...Object.values(builtins), ...Object.values(modules)])
      expect([name, existsSync(`test/simulation/edges/${name}.ts`)]).toEqual([name, true]);
  });

  it("runs the daemons from their own composition roots, and nearly all of what they consist of", () => {
    expect(loaded.length).toBeGreaterThan(250);
    for (const folder of ["agent/verbs/", "agent/fence/", "agent/journal/", "agent/claim/", "controller/"])
      expect([...replaced].filter(file => file.startsWith(folder))).toEqual([]);
  });

  it("replaces only what touches the machine or the network", () => {
    const allowed =
      /^(agent\/os\/|agent\/transfer\/(source|target|probe-path)|agent\/probe\/system|proto\/(daemon|rpc-))/;
    expect([...replaced].filter(file => !allowed.test(file))).toEqual([]);
  });

  it("lets nothing through that touches the machine", () => {
    const through = loaded.flatMap(file =>
      importsOf(file)
        .filter(specifier => specifier.startsWith("node:") && !PURE.includes(specifier))
        .filter(specifier => replacementFor(specifier, file) === undefined && EXEMPT[file] === undefined)
        .map(specifier => `${file} imports ${specifier}: put it behind an edge, and the edge into the table`),
    );
    expect(through).toEqual([]);
  });

  it("looks at the product and at nothing else", () => {
    expect(PRODUCT).toEqual(["agent/", "controller/", "proto/"]);
    expect(replacementFor("node:fs", "test/simulation/edges/fs.ts")).toBeUndefined();
    expect(replacementFor("node:fs", "agent/journal/journal.ts")).toBe("test/simulation/edges/fs.ts");
  });
});
