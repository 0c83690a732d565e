/** Files by identity: moved once, moved back, removed, and never another file in their place. */

import { rename, rm, symlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import {
  type AsideFile,
  factsAt,
  identityOf,
  moveAside,
  moveBack,
  removeAside,
} from "../../../agent/fence/set-aside.js";
import { World } from "./world.js";

async function diskOf(world: World): Promise<AsideFile> {
  const path = world.at("nvram.fd");
  const facts = await factsAt(world.edges.files, path);
  if (!facts) throw new Error("the world has no disk");
  return { id: "nvram", path, asidePath: `${path}.fenced-m1`, identity: identityOf(facts) };
}

describe("a file that is set aside", () => {
  it("goes aside and back, as often as asked", async () => {
    await using world = await World.make();
    const disk = await diskOf(world);
    for (const move of [moveAside, moveAside, moveBack, moveBack, moveAside])
      await move(world.edges.files, disk);
    expect([world.has("nvram.fd"), world.has("nvram.fd.fenced-m1")]).toEqual([false, true]);
  });

  it("is not a file that took its name", async () => {
    await using world = await World.make();
    const disk = await diskOf(world);
    await rename(disk.path, world.at("elsewhere"));
    await writeFile(disk.path, "foreign");
    await expect(moveAside(world.edges.files, disk)).rejects.toThrow(/neither at/);
    await rename(disk.path, disk.asidePath);
    await expect(removeAside(world.edges.files, disk)).rejects.toThrow(/left alone/);
    expect(world.has("nvram.fd.fenced-m1")).toBe(true);
  });

  it("is not what a link of its name points to", async () => {
    await using world = await World.make();
    const disk = await diskOf(world);
    await rename(disk.path, world.at("elsewhere"));
    await symlink(world.at("elsewhere"), disk.path);
    await expect(moveAside(world.edges.files, disk)).rejects.toThrow(/neither at/);
  });

  it("is removed once; gone is gone", async () => {
    await using world = await World.make();
    const disk = await diskOf(world);
    await moveAside(world.edges.files, disk);
    expect(await removeAside(world.edges.files, disk)).toBe(true);
    expect(await removeAside(world.edges.files, disk)).toBe(false);
    await rm(world.at("nvram.fd"), { force: true });
  });
});
