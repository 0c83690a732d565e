import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hugePageMounts } from "../../../agent/probe/huge-pages.js";
import { mountOf, parseMounts } from "../../../agent/probe/mounts.js";
import { type MeasureRoom, SpaceProbe } from "../../../agent/probe/space.js";
import { readStoragePools } from "../../../agent/probe/storage.js";

const TABLE = `21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
22 21 0:5 / /dev rw shared:2 - devtmpfs udev rw,size=10k
23 22 0:20 / /dev/hugepages rw shared:3 - hugetlbfs hugetlbfs rw,pagesize=2M
24 22 0:21 / /mnt/huge\\0401G rw - hugetlbfs none rw,pagesize=1024M
25 21 0:44 /exports /srv/images rw - nfs4 store:/exports rw,vers=4.2
26 25 8:17 / /srv/images rw shared:9 master:4 - xfs /dev/sdb1 rw
`;

const mounts = parseMounts(TABLE) ?? [];

describe("the mount table", () => {
  it("says which file system a path is on: the deepest mount, and the newest over the same point", () => {
    expect(mountOf("/srv/images/a.qcow2", mounts)).toMatchObject({ fileSystem: "xfs", device: "8:17" });
    expect(mountOf("/srv/images2", mounts)).toMatchObject({ fileSystem: "ext4", path: "/" });
    expect(mountOf("/dev", mounts)).toMatchObject({ fileSystem: "devtmpfs" });
  });

  it("tells the mounts of huge pages and their sizes", () => {
    expect(hugePageMounts(mounts)).toEqual([
      { path: "/dev/hugepages", sizeKib: 2_048 },
      { path: "/mnt/huge 1G", sizeKib: 1_048_576 },
    ]);
  });

  it.each([
    "36 35 98:0 / /mnt rw",
    "garbage - ext4 x",
    "36 35 98 / /mnt rw - ext4 x rw",
    "a b 1:1 / mnt rw - ext4 x rw",
  ])("is refused whole for a line like %j", line => {
    expect(parseMounts(`${TABLE}${line}\n`)).toBeUndefined();
  });
});

describe("the room below a path", () => {
  const directory = mkdtempSync(join(tmpdir(), "ferry-space-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const live = parseMounts(readFileSync("/proc/self/mountinfo", "utf8")) ?? [];
  const problems: string[] = [];
  const report = (problem: string) => problems.push(problem);

  it("is what df says, also through a symbolic link", async () => {
    const link = join(directory, "link");
    symlinkSync(directory, link);
    const columns = ["--block-size=1", "--output=size,avail,fstype", directory];
    const [size, , kind] =
      execFileSync("df", columns, { encoding: "utf8" }).split("\n")[1]?.trim().split(/\s+/) ?? [];
    const space = await new SpaceProbe().space(link, live, report);
    expect(space).toMatchObject({ capacityBytes: Number(size), fileSystem: kind });
    expect(space?.freeBytes).toBeGreaterThan(0);
    expect(space?.freeBytes).toBeLessThanOrEqual(Number(size));
  });

  it("is unknown, with the reason, where there is no such path", async () => {
    expect(await new SpaceProbe().space(join(directory, "none"), live, report)).toBeUndefined();
    expect(problems).toEqual([`${join(directory, "none")}: ENOENT`]);
  });

  it("is not waited for without end, and a silent file system is asked only once", async () => {
    const silent: string[] = [];
    let asked = 0;
    const neverAnswers: MeasureRoom = () => {
      asked += 1;
      return new Promise(() => {});
    };
    const probe = new SpaceProbe(5, neverAnswers);
    const ask = () => probe.space("/dead", [], problem => silent.push(problem));
    expect(await Promise.all([ask(), ask()])).toEqual([undefined, undefined]);
    expect(await ask()).toBeUndefined();
    expect(asked).toBe(1);
    expect(silent).toEqual(Array(3).fill("/dead: the file system did not answer within 5 ms"));
  });
});

describe("storage pools", () => {
  const pool = { name: "p", type: "dir", path: "/p", active: true, capacityBytes: 10, availableBytes: 4 };
  const measured = { fileSystem: "xfs" };

  it("carry libvirt's sizes and, where they are directories, the kernel's", async () => {
    const [directory, volumes] = await readStoragePools(
      [pool, { ...pool, type: "logical" }],
      async () => measured,
    );
    expect(directory).toMatchObject({ capacityBytes: 10, availableBytes: 4, space: measured });
    expect(volumes?.space).toBeUndefined();
  });

  it("have unknown sizes when they are not active: libvirt's zero is no size", async () => {
    const idle = { ...pool, active: false, capacityBytes: 0, availableBytes: 0 };
    const [described] = await readStoragePools([idle], async () => measured);
    expect(described).toMatchObject({
      capacityBytes: undefined,
      availableBytes: undefined,
      space: undefined,
    });
  });
});
