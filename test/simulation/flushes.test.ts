/**
 * Every flush in the product's source is needed: without it something that was promised is not there after a power cut. Each
 * is left out once, on the simulated disk. A flush that is added without a case that needs it fails here, and so does one that is removed.
 */

import { globSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { MADE_DISKS } from "./flushes/made-disks.js";
import { NAMES } from "./flushes/names.js";
import { RECEIVED } from "./flushes/received.js";
import { flushNames, sitesIn } from "./flushes/sites.mjs";
import { type FlushCase, tryWithout } from "./flushes/stage.js";

const CASES: readonly FlushCase[] = [...NAMES, ...MADE_DISKS, ...RECEIVED];

/** Of block devices: a simulated one has no page cache, from which another process's writes would have yet to come. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "agent/disk/block-devices.ts#1": "native/block-devices.test.ts",
  "agent/disk/block-devices.ts#2": "native/block-devices.test.ts",
};

const places = globSync("{agent,controller,proto}/**/*.ts")
  .flatMap(file => sitesIn(file, readFileSync(file, "utf8")))
  .filter(site => ELSEWHERE[site] === undefined);

it.each(CASES)("after a power cut $name", async one => {
  expect((await tryWithout(one)).holds).toBe(true);
});

describe("without a flush something is lost", () => {
  const comers = new Map<string, FlushCase[]>(places.map(place => [place, []]));
  beforeAll(async () => {
    for (const one of CASES) for (const place of (await tryWithout(one)).met) comers.get(place)?.push(one);
  });

  it("wherever there is one", () => expect(places.length).toBeGreaterThan(25));

  it.each(places)("at %s", async place => {
    let isLost = false;
    for (const one of comers.get(place) ?? []) isLost ||= !(await tryWithout(one, place)).holds;
    expect(isLost).toBe(true);
  });
});

describe("a flush", () => {
  const helper = `
    import { fdatasync as settled, open } from "node:fs";
    const settle = promisify(settled);
    export async function keep(path) {
      const file = await open(path);
      try { await settle(file); } finally { await file.close(); }
    }
    export const keepAll = async paths => { for (const path of paths) await keep(path); };
    export async function write(path, text) { await writeFile(path, text); await keep(path); }`;
  const use = `
    import { keep, keepAll, write } from "./helper.js";
    await keep("a");
    await keepAll(["a"]).catch(() => {});
    await withFile("a", keep);
    await write("a", "");
    await (await open("a")).datasync();`;
  const names = flushNames([helper, use]);

  it("is Node's under any name, a method, and whatever does nothing else", () => {
    expect([...names].sort()).toEqual(["keep", "keepAll", "settle", "settled"]);
    expect(sitesIn("helper.ts", helper, names)).toHaveLength(3);
    expect(sitesIn("use.ts", use, names)).toHaveLength(4);
  });
});
