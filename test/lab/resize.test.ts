/**
 * A server becomes another size: what its guest says it has, what the second receipt says was done to its disks, and what
 * a revert brings back.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import type { Lab } from "./lab.js";
import {
  bootOf,
  confirm,
  createServer,
  ferry,
  fleetUp,
  IMAGES,
  migrationOf,
  revert,
  serverOf,
} from "./support/fleet.js";
import { definitionOf, digestsOf, filesOn, fingerprints } from "./support/host-files.js";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** One line of a console each: `vda 1073741824`. */
const disksSeen = (boot: string): string[] =>
  [...boot.matchAll(/DISK (\S+) bytes=(\d+)/g)].map(([, disk, bytes]) => `${disk} ${bytes}`);
const cpusSeen = (boot: string): number => Number(/ cpus=(\d+)/.exec(boot)?.[1]);
const memoryMibSeen = (boot: string): number => Number(/ mem_kib=(\d+)/.exec(boot)?.[1]) / 1024;
const swapSeen = (boot: string): string[] =>
  [...boot.matchAll(/SWAP (\S+ kib=\d+)/g)].map(([, swap]) => swap ?? "");
const changesOf = ({ receipt }: Migration): string[] =>
  receipt.flatMap(({ id, changes }) =>
    changes.map(
      ({ tool, sizeBeforeBytes, sizeAfterBytes }) => `${id} ${tool} ${sizeBeforeBytes} ${sizeAfterBytes}`,
    ),
  );

let lab: Lab;

async function createFlavor(name: string, size: readonly number[]): Promise<void> {
  const [vcpus, ram, disk, ephemeral, swap] = size.map(String);
  const options = ["--vcpus", `${vcpus}`, "--ram", `${ram}`, "--disk", `${disk}`];
  await ferry(lab, "flavor", "create", name, ...options, "--ephemeral", `${ephemeral}`, "--swap", `${swap}`);
}

async function resize(name: string, flavor: string): Promise<Migration> {
  await ferry(lab, "server", "resize", name, "--flavor", flavor, "--wait");
  return migrationOf(lab, name);
}

beforeAll(async () => {
  lab = await fleetUp({ id: "resize", hosts: 2 });
  await createFlavor("m1.bare", [1, 160, 1, 0, 0]);
  await createFlavor("m1.big", [2, 224, 2, 2, 128]);
  await createFlavor("m1.noswap", [1, 192, 3, 2, 0]);
  await Promise.all([
    createServer(lab, "web"),
    createServer(lab, "plain", "--root-mode", "copy", "--flavor", "m1.bare"),
  ]);
  await Promise.all(["web", "plain"].map(name => bootOf(lab, "h1", name, 1)));
});
afterAll(() => lab.down());

describe("a server with an overlay, an ephemeral and a swap disk", () => {
  it("becomes larger in everything, with all that it held, and stays so", async () => {
    const migration = await resize("web", "m1.big");
    expect(migration).toMatchObject({ type: "resize", status: "finished", targetHost: "h2" });
    expect([migration.oldFlavor?.name, migration.newFlavor?.name]).toEqual(["m1.lab", "m1.big"]);

    const boot = await bootOf(lab, "h2", "web", 2);
    expect(cpusSeen(boot)).toBe(2);
    expect(memoryMibSeen(boot)).toBeGreaterThan(160);
    expect(disksSeen(boot)).toEqual([`vda ${2 * GIB}`, `vdb ${2 * GIB}`, `vdc ${128 * MIB}`]);
    expect(swapSeen(boot)).toEqual([`vdc kib=${128 * 1024 - 4}`]);
    expect(boot).toMatch(/MARKER-OK vda2 boots=2/);
    expect(boot).toMatch(/EPH-OK vdb boots=2/);
    expect(changesOf(migration)).toEqual([
      `vda/0 qemu-img resize ${GIB} ${2 * GIB}`,
      `vdb/0 ftruncate ${GIB} ${2 * GIB}`,
      `vdb/0 resize2fs ${GIB} ${2 * GIB}`,
    ]);
    const eph = await lab.output("h2", ["dumpe2fs", "-h", `${IMAGES}/web/disk.eph0`]);
    expect(/Block count: +(\d+)/.exec(eph)?.[1]).toBe(String((2 * GIB) / 4096));

    await confirm(lab, "web");
    expect(await serverOf(lab, "web")).toMatchObject({
      host: "h2",
      status: "ACTIVE",
      flavor: { name: "m1.big" },
    });
    expect((await filesOn(lab, "h1")).filter(file => file.includes("/web"))).toEqual([]);
  });

  it("is not made smaller, and is not even stopped for that", async () => {
    const refused = await lab.ferry("server", "resize", "web", "--flavor", "m1.bare", "--wait");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/Unable to resize disk down\.[\s\S]*have: 2 GiB root disk/);
    const same = await lab.ferry("server", "resize", "web", "--flavor", "m1.big");
    expect(same.stderr).toContain("When resizing, instances must change flavor!");
    expect(await serverOf(lab, "web")).toMatchObject({ host: "h2", status: "ACTIVE" });
    expect(await lab.output("h2", ["virsh", "-q", "domstate", "web"])).toBe("running");
  });

  it("loses its swap disk with a flavor that has none", async () => {
    await resize("web", "m1.noswap");
    const boot = await bootOf(lab, "h1", "web", 3);
    expect(disksSeen(boot)).toEqual([`vda ${3 * GIB}`, `vdb ${2 * GIB}`]);
    expect([cpusSeen(boot), swapSeen(boot)]).toEqual([1, []]);
    expect(boot).toMatch(/MARKER-OK vda2 boots=3[\s\S]*EPH-OK vdb boots=3/);
    await confirm(lab, "web");
  });

  it("that is stopped is reverted bit for bit, even to a flavor that is no more", async () => {
    await ferry(lab, "server", "stop", "web");
    const files = (await filesOn(lab, "h1")).filter(file => file.includes("/web/"));
    const standing = () => Promise.all([fingerprints(lab, "h1", files), definitionOf(lab, "h1", "web")]);
    const before = await standing();
    await createFlavor("m1.huge", [2, 256, 4, 3, 32]);
    await resize("web", "m1.huge");
    await ferry(lab, "flavor", "delete", "m1.noswap");
    await revert(lab, "web");
    expect(await standing()).toEqual(before);
    expect(await serverOf(lab, "web")).toMatchObject({
      host: "h1",
      status: "SHUTOFF",
      flavor: { name: "m1.noswap" },
    });
    expect((await filesOn(lab, "h2")).filter(file => file.includes("/web"))).toEqual([]);
  });
});

describe("a server with nothing but a raw root disk", () => {
  it("gets an ephemeral and a swap disk, and is without them again after a revert", async () => {
    const migration = await resize("plain", "m1.big");
    const boot = await bootOf(lab, "h2", "plain", 2);
    expect(disksSeen(boot)).toEqual([`vda ${2 * GIB}`, `vdb ${2 * GIB}`, `vdc ${128 * MIB}`]);
    expect(boot).toMatch(/MARKER-OK vda2 boots=2[\s\S]*EPH-NEW vdb boots=1/);
    expect(swapSeen(boot)).toHaveLength(1);
    expect(migration.receipt.map(({ id, mode }) => `${id} ${mode}`).sort()).toEqual([
      "vda/0 copied",
      "vdb/0 added",
      "vdc/0 added",
    ]);
    // What was copied is what the source keeps.
    const fenced = `${IMAGES}/plain/disk.fenced-${migration.id}`;
    const [grown] = migration.receipt.find(({ id }) => id === "vda/0")?.changes ?? [];
    expect(await digestsOf(lab, "h1", [fenced])).toEqual([grown?.digestBefore]);
    expect(grown?.holds).toContain(grown?.digestBefore);

    await revert(lab, "plain");
    const back = await bootOf(lab, "h1", "plain", 2);
    expect(disksSeen(back)).toEqual([`vda ${GIB}`]);
    expect(cpusSeen(back)).toBe(1);
    expect(await serverOf(lab, "plain")).toMatchObject({
      host: "h1",
      status: "ACTIVE",
      flavor: { name: "m1.bare" },
    });
    expect((await filesOn(lab, "h2")).filter(file => file.includes("/plain"))).toEqual([]);
  });
});
