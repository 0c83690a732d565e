/** What a flavor makes of disks, for every kind of disk and every direction. */

import { describe, expect, it } from "vitest";
import { planDisks } from "../../../agent/disk/resize-plan.js";
import { ManifestFile } from "../../../proto/gen/ferry/v1/agent.js";
import { Disk, Flavor } from "../../../proto/gen/ferry/v1/model.js";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

const disk = (targetDev: string, role: string, virtualSizeBytes: number): Disk =>
  Disk.fromPartial({ targetDev, role, virtualSizeBytes });
const root = disk("vda", "root", 2 * GIB);
const ephemeral = disk("vdb", "ephemeral", GIB);
const swap = disk("vdc", "swap", 64 * MIB);
const all = [root, ephemeral, swap];

const flavor = (rootGib: number, ephemeralGib: number, swapMib: number): Flavor =>
  Flavor.fromPartial({ rootGib, ephemeralGib, swapMib });

const plan = (disks: readonly Disk[], wanted: Flavor, swapMode = "re-created") => {
  const files = disks.map(({ targetDev, role }) =>
    ManifestFile.fromPartial({ id: `${targetDev}/0`, mode: role === "swap" ? swapMode : "copied" }),
  );
  const { resized, added, dropped, refusals } = planDisks(disks, files, wanted);
  return { resized: [...resized], added, dropped, refusals: refusals.map(({ message }) => message) };
};

const NOTHING = { resized: [], added: [], dropped: [], refusals: [] };
const DOWN = { ...NOTHING, refusals: ["Unable to resize disk down."] };

describe("disks", () => {
  it.each([
    ["of the same sizes stay as they are", all, flavor(2, 1, 64), NOTHING],
    [
      "grow",
      all,
      flavor(3, 2, 64),
      {
        ...NOTHING,
        resized: [
          ["vda", 3 * GIB],
          ["vdb", 2 * GIB],
        ],
      },
    ],
    ["stay when the flavor has no root size", all, flavor(0, 1, 64), NOTHING],
    ["of the root are never cut", all, flavor(1, 1, 64), DOWN],
    ["of the ephemeral kind are never cut", [root, disk("vdb", "ephemeral", 3 * GIB)], flavor(2, 2, 0), DOWN],
    ["of the ephemeral kind are never dropped", [root, ephemeral], flavor(2, 0, 0), DOWN],
    [
      "come",
      [root],
      flavor(2, 3, 32),
      {
        ...NOTHING,
        added: [
          { role: "ephemeral", sizeBytes: 3 * GIB },
          { role: "swap", sizeBytes: 32 * MIB },
        ],
      },
    ],
    ["for swap become larger", all, flavor(2, 1, 128), { ...NOTHING, resized: [["vdc", 128 * MIB]] }],
    [
      "for swap become smaller, since nothing of them is kept",
      all,
      flavor(2, 1, 8),
      {
        ...NOTHING,
        resized: [["vdc", 8 * MIB]],
      },
    ],
    ["for swap go", all, flavor(2, 1, 0), { ...NOTHING, dropped: ["vdc"] }],
    [
      "for swap become one",
      [...all, disk("vdd", "swap", 64 * MIB)],
      flavor(2, 1, 64),
      {
        ...NOTHING,
        resized: [["vdc", 64 * MIB]],
        dropped: ["vdd"],
      },
    ],
    [
      "that carry media or metadata are none of a flavor's",
      [...all, disk("vdd", "config-drive", MIB)],
      flavor(2, 1, 64),
      NOTHING,
    ],
  ])("%s", (_what, disks, wanted, expected) => {
    expect(plan(disks, wanted)).toEqual(expected);
  });

  it("for swap that hold something else are neither cut nor dropped", () => {
    const kept = { ...NOTHING, refusals: ["swap disk vdc holds something else than swap"] };
    expect(plan(all, flavor(2, 1, 0), "copied")).toEqual(kept);
    expect(plan(all, flavor(2, 1, 128), "copied")).toEqual(kept);
    expect(plan(all, flavor(2, 1, 64), "copied")).toEqual(NOTHING);
  });

  it("of which several are ephemeral keep their sizes, or are refused", () => {
    const several = [root, ephemeral, disk("vdc", "ephemeral", GIB)];
    expect(plan(several, flavor(3, 2, 0))).toEqual({ ...NOTHING, resized: [["vda", 3 * GIB]] });
    expect(plan(several, flavor(3, 4, 0)).refusals).toEqual([
      "which of several ephemeral disks is to be resized is not known",
    ]);
  });
});
