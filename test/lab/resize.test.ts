/**
 * A server becomes another size: what its guest says it has, what the second receipt says was done to its disks, and what
 * a revert brings back.
 */

import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Event } from "../../proto/gen/ferry/v1/event.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { type Lab, PATIENCE_MS, waitFor } from "./lab.js";
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

  it("is deleted with every disk that came or grew", async () => {
    await ferry(lab, "server", "delete", "web", "--yes");
    expect((await filesOn(lab, "h1")).filter(file => file.includes("/web"))).toEqual([]);
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

describe("a server that is resized on its own host", () => {
  /** Every other host is off limits. */
  beforeAll(async () => {
    const config = lab.path("ctl", "/etc/ferry/controller.toml");
    const text = await readFile(config, "utf8");
    await writeFile(config, `allow_resize_to_same_host = true\n${text}`);
    await lab.controller("stop");
    await lab.controller("start");
    const isUp = async () => (await lab.ferry("host", "disable", "h2", "--reason", "test")).code === 0;
    await waitFor(isUp, { deadlineMs: PATIENCE_MS, what: "the controller answers" });
    const knows = async () => /\bh1\b.*\bup\b/.test(await ferry(lab, "host", "list"));
    await waitFor(knows, { deadlineMs: PATIENCE_MS, what: "the controller has heard of h1" });
  });

  const filesOf = async () => (await filesOn(lab, "h1")).filter(file => file.includes("/plain"));

  it("runs there with its new size, from disks of its own, while the originals wait", async () => {
    const files = await filesOf();
    const cables = () => lab.linkCounters("h1", "mig0");
    const before = await cables();
    const migration = await resize("plain", "m1.big");
    expect(migration).toMatchObject({ sourceHost: "h1", targetHost: "h1", status: "finished" });
    expect((await cables()).sentBytes - before.sentBytes).toBeLessThan(MIB);

    const boot = await bootOf(lab, "h1", "plain", 3);
    expect(disksSeen(boot)).toEqual([`vda ${2 * GIB}`, `vdb ${2 * GIB}`, `vdc ${128 * MIB}`]);
    expect(cpusSeen(boot)).toBe(2);
    expect(boot).toMatch(/MARKER-OK vda2 boots=3/);
    const kept = (await filesOf()).filter(file => file.endsWith(`.fenced-${migration.id}`));
    expect(kept).toEqual(files.map(file => `${file}.fenced-${migration.id}`));
    const line = migration.receipt.find(({ id }) => id === "vda/0");
    expect(line?.mode).toMatch(/^(cloned|copied)$/);
    expect(await digestsOf(lab, "h1", [`${IMAGES}/plain/disk.fenced-${migration.id}`])).toEqual([
      line?.changes[0]?.digestBefore,
    ]);
  });

  it("is reverted bit for bit, and boots as if nothing had been", async () => {
    const { id } = await migrationOf(lab, "plain");
    const disk = `${IMAGES}/plain/disk`;
    const fenced = await fingerprints(lab, "h1", [`${disk}.fenced-${id}`]);
    await ferry(lab, "server", "revert", "plain", "--yes", "--wait");
    // The guest writes to it as soon as it runs again: it is the same file.
    expect((await fingerprints(lab, "h1", [disk]))[0]?.split(" ")[1]).toBe(fenced[0]?.split(" ")[1]);
    const boot = await bootOf(lab, "h1", "plain", 3);
    expect(disksSeen(boot)).toEqual([`vda ${GIB}`]);
    expect(await filesOf()).toEqual([`${IMAGES}/plain/console.log`, disk]);
  });

  it("may grow there beside the others of its affinity group, which none of them leaves", async () => {
    await createFlavor("m1.grown", [1, 192, 1, 0, 0]);
    await ferry(lab, "group", "create", "pair", "--policy", "affinity");
    for (const name of ["one", "two"])
      await createServer(lab, name, "--flavor", "m1.bare", "--no-start", "--hint", "group=pair");
    await ferry(lab, "host", "enable", "h2");
    const refused = await lab.ferry("server", "migrate", "one", "--wait");
    await ferry(lab, "host", "disable", "h2", "--reason", "test");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(
      /No valid host was found\.[\s\S]*h2: host h2 has no server of group pair, whose policy is affinity/,
    );
    expect(await serverOf(lab, "one")).toMatchObject({ host: "h1", status: "SHUTOFF", taskState: "" });
    expect(await resize("one", "m1.grown")).toMatchObject({ targetHost: "h1", status: "finished" });
    await confirm(lab, "one");
    expect(await serverOf(lab, "one")).toMatchObject({ host: "h1", flavor: { name: "m1.grown" } });

    const told: readonly Event[] = JSON.parse(
      await ferry(lab, "event", "list", "--server", "one", "--type", "instance.resize", "-o", "json"),
    );
    expect(told.map(({ type, host }) => `${type} ${host}`)).toEqual([
      "instance.resize_prep.start h1",
      "instance.resize_prep.end h1",
      "instance.resize.start h1",
      "instance.resize.end h1",
      "instance.resize_finish.start h1",
      "instance.resize_finish.end h1",
      "instance.resize_confirm.start h1",
      "instance.resize_confirm.end h1",
    ]);
    for (const name of ["one", "two"]) await ferry(lab, "server", "delete", name, "--yes");
  });

  it("that is off, with firmware variables and a TPM, is given back to the last bit", async () => {
    await createServer(lab, "secure", "--firmware", "efi", "--vtpm", "--flavor", "m1.bare");
    await ferry(lab, "server", "stop", "secure", "--shutdown-timeout", "1");
    const uuid = (await lab.output("h1", ["virsh", "-q", "domuuid", "secure"])).trim();
    const standing = async () => {
      const files = (await filesOn(lab, "h1")).filter(file => file.includes("secure") || file.includes(uuid));
      return [...(await fingerprints(lab, "h1", files)), await definitionOf(lab, "h1", "secure")];
    };
    const before = await standing();
    expect(before.map(line => line.split(" ")[0])).toContainEqual(expect.stringMatching(/nvram/));
    const { receipt } = await resize("secure", "m1.big");
    expect(receipt.map(({ id }) => id.split("/")[0])).toEqual(
      expect.arrayContaining(["nvram", "tpm", "vda"]),
    );
    await revert(lab, "secure");
    expect(await standing()).toEqual(before);
  });

  it("stays so when it is confirmed, with nothing of the originals", async () => {
    await resize("plain", "m1.big");
    await confirm(lab, "plain");
    expect(await serverOf(lab, "plain")).toMatchObject({ host: "h1", flavor: { name: "m1.big" } });
    expect((await filesOf()).filter(file => /fenced|dropped|part/.test(file))).toEqual([]);
    await ferry(lab, "server", "delete", "plain", "--yes");
    expect(await filesOf()).toEqual([]);
  });
});
