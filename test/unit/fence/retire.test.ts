/** Retiring: only what was set aside, only by identity, and the denial stays. */

import { rename, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { retire } from "../../../agent/fence/retire.js";
import { crashEverywhere, fenceAndRelease, verdictOf } from "./orders.js";
import { SERVER, SOURCE, World } from "./world.js";

const fenced = async (): Promise<World> => {
  const world = await World.make();
  await fenceAndRelease(world);
  return world;
};

describe("retiring", () => {
  it("removes the fenced files and the saved state, and goes on denying", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    expect(await retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE })).toEqual({
      removed: ["vda/0", "nvram", "tpm"],
      missing: [],
    });
    expect(world.has("swtpm.fenced-m1")).toBe(false);
    expect(world.has("images/vdc.raw"), "a shared disk is nobody's to remove").toBe(true);
    expect(world.record()).not.toHaveProperty("saved");
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("removes nothing when one name holds another file", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    await rename(world.at("nvram.fd.fenced-m1"), world.at("elsewhere"));
    await writeFile(world.at("nvram.fd.fenced-m1"), "foreign");
    await expect(
      retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
    ).rejects.toThrow(/nothing was removed/);
    expect(world.has("images/vda.qcow2.fenced-m1")).toBe(true);
  });

  it("refuses what is not fenced", async () => {
    await using world = await World.make();
    await expect(
      retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
    ).rejects.toThrow(/unknown here/);
  });

  it("converges after a crash before or after any call", async () => {
    await crashEverywhere(
      fenced,
      world => retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
      async world => expect(world.record()).toMatchObject({ state: "retired", files: [] }),
    );
  });
});
