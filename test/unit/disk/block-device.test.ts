/** What proves that two hosts have one block device, by sysfs trees as the kernel lays them out. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeBlockDevice, isProvenSame, writtenSectors } from "../../../agent/disk/block-device.js";
import { deviceNumber, isListed } from "../../../agent/disk/block-devices.js";
import { Tree } from "../../../agent/probe/tree.js";

const WWID = "naa.6001405aaaabbbbccccddddeeeeffff0";
const OTHER = "naa.6001405aaaabbbbccccddddeeeeffff1";
const VOLUME = "0123456789abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ferry-sysfs-"));
});
afterEach(() => rmSync(root, { recursive: true }));

type Attributes = Readonly<Record<string, string>>;

/** Below /sys/devices, with the link from its number; `slaves` are names of others. */
function device(name: string, number: string, attributes: Attributes, slaves: readonly string[] = []): void {
  const folder = join(root, "devices", name);
  for (const [path, text] of Object.entries({ size: "2048", diskseq: "9", ...attributes })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `${text}\n`);
  }
  mkdirSync(join(folder, "slaves"), { recursive: true });
  for (const slave of slaves) symlinkSync(`../../${slave}`, join(folder, "slaves", slave));
  mkdirSync(join(root, "dev/block"), { recursive: true });
  symlinkSync(`../../devices/${name}`, join(root, "dev/block", number));
}

async function look(number: string, bootId = "boot-1") {
  const [major = 0, minor = 0] = number.split(":").map(Number);
  const found = await describeBlockDevice("/dev/x", { major, minor }, bootId, new Tree(root, () => {}));
  if (found === undefined) throw new Error("nothing there");
  return found;
}

describe("a block device", () => {
  it.each([
    ["a SCSI or iSCSI disk", { "device/wwid": WWID.toUpperCase() }, WWID],
    ["one with a registered name", { "device/wwid": "naa.5000c500a1b2c3d4" }, "naa.5000c500a1b2c3d4"],
    ["one with an EUI-64", { "device/wwid": "eui.0025385a71b0c1d2" }, "eui.0025385a71b0c1d2"],
    ["an NVMe namespace", { wwid: `eui.${"0a".repeat(16)}`, "device/model": "x" }, `eui.${"0a".repeat(16)}`],
    [
      "an NVMe namespace with a UUID",
      { wwid: "uuid.3f2504e0-4f89-41d3-9a0c-0305e82c3301" },
      "uuid.3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    ],
  ])("is known world-wide: %s", async (_what, attributes, name) => {
    device("sda", "8:0", attributes);
    expect(await look("8:0")).toMatchObject({ worldWideId: name, lacking: "", sizeBytes: 1024 ** 2 });
  });

  it.each([
    ["a vendor's serial number", { "device/wwid": "t10.ATA     QEMU HARDDISK    QM00001" }],
    ["a name assigned locally", { "device/wwid": "naa.3000000100000001" }],
    ["an NVMe serial number", { wwid: "nvme.1b36-deadbeef-51454d55-00000001" }],
    ["a name of zeros", { "device/wwid": `naa.6${"0".repeat(31)}` }],
    ["a UUID of zeros", { wwid: "uuid.00000000-0000-0000-0000-000000000000" }],
    ["nothing", { serial: "virtio-serial" }],
    ["a partition", { partition: "1", "device/wwid": WWID }],
    ["a loop device", { "loop/backing_file": "/srv/image" }],
    ["a mapping for encryption", { "dm/uuid": "CRYPT-LUKS2-0123-x" }],
    ["an md array", { "md/uuid": "0:1:2:3", "device/wwid": "" }],
  ])("has no world-wide name with %s", async (_what, attributes) => {
    device("sda", "8:0", attributes);
    const { worldWideId, lacking } = await look("8:0");
    expect(worldWideId).toBe("");
    expect(lacking).not.toBe("");
  });

  it("is by multipath what each of its paths is alone", async () => {
    device("sda", "8:0", { "device/wwid": WWID });
    device("sdb", "8:16", { "device/wwid": WWID });
    device("sdc", "8:32", { "device/wwid": OTHER });
    device("dm-0", "253:0", { "dm/uuid": `mpath-3${WWID.slice(4)}` }, ["sda", "sdb"]);
    device("dm-1", "253:1", { "dm/uuid": `mpath-3${WWID.slice(4)}` }, ["sda", "sdc"]);
    device("dm-2", "253:2", { "dm/uuid": `mpath-3${WWID.slice(4)}` });
    expect((await look("253:0")).worldWideId).toBe(WWID);
    expect(await look("253:1")).toMatchObject({ worldWideId: "", lacking: "its paths lead to 2 devices" });
    expect((await look("253:2")).worldWideId).toBe("");
  });

  it("is by LVM a volume on named devices, and not a volume alone", async () => {
    device("sda", "8:0", { "device/wwid": WWID });
    device("sdb", "8:16", { "device/wwid": OTHER });
    device("vda", "252:0", {});
    device("dm-0", "253:0", { "dm/uuid": `mpath-3${WWID.slice(4)}` }, ["sda"]);
    const lvm = { "dm/uuid": `LVM-${VOLUME}` };
    device("dm-1", "253:1", lvm, ["dm-0", "sdb"]);
    device("dm-2", "253:2", lvm, ["sda"]);
    device("dm-3", "253:3", lvm, ["vda"]);
    device("dm-4", "253:4", { "dm/uuid": `LVM-${VOLUME.toLowerCase()}` }, ["dm-1"]);
    device("dm-5", "253:5", { "dm/uuid": `LVM-${VOLUME}-tpool` }, ["sda"]);
    expect((await look("253:1")).worldWideId).toBe(`lvm.${VOLUME}@${WWID}+${OTHER}`);
    // A copy of the disk carries the same identifiers of LVM.
    expect(isProvenSame(await look("253:1"), await look("253:2"))).toBe(false);
    expect((await look("253:3")).lacking).toBe("of what it lies on, it has no world-wide name");
    expect((await look("253:4")).lacking).toBe("of what it lies on, one is a logical volume itself");
    expect((await look("253:5")).worldWideId).toBe("");
  });

  it("is nothing when the kernel does not say how large it is", async () => {
    device("sr0", "11:0", { size: "0" });
    await expect(look("11:0")).rejects.toThrow("nothing there");
    await expect(look("11:1")).rejects.toThrow("nothing there");
  });
});

describe("two descriptions", () => {
  it("are of one device by an equal world-wide name, on any two kernels", async () => {
    device("sda", "8:0", { "device/wwid": WWID });
    device("sdq", "65:0", { "device/wwid": WWID, diskseq: "77" });
    device("sdr", "65:16", { "device/wwid": OTHER });
    expect(isProvenSame(await look("8:0", "boot-1"), await look("65:0", "boot-2"))).toBe(true);
    expect(isProvenSame(await look("8:0"), await look("65:16"))).toBe(false);
  });

  it("are of one nameless device only on one kernel, under one number, in one life of it", async () => {
    device("loop3", "7:3", { "loop/backing_file": "/a" });
    device("loop4", "7:4", { "loop/backing_file": "/a" });
    const here = await look("7:3", "boot-1");
    expect(isProvenSame(here, await look("7:3", "boot-1"))).toBe(true);
    expect(isProvenSame(here, await look("7:3", "boot-2"))).toBe(false);
    expect(isProvenSame(here, await look("7:4", "boot-1"))).toBe(false);
    writeFileSync(join(root, "devices/loop3/diskseq"), "10\n");
    expect(isProvenSame(here, await look("7:3", "boot-1"))).toBe(false);
    rmSync(join(root, "devices/loop3/diskseq"));
    const nameless = await look("7:3", "boot-1");
    expect(isProvenSame(nameless, nameless)).toBe(false);
    expect(isProvenSame(await look("7:4", ""), await look("7:4", ""))).toBe(false);
  });

  it("are not of one device where only one has a name", async () => {
    device("sda", "8:0", { "device/wwid": WWID });
    const named = await look("8:0");
    expect(isProvenSame(named, { ...named, worldWideId: "" })).toBe(false);
  });
});

describe("a list of block devices", () => {
  it.each<[string, boolean]>([
    ["/dev/disk/by-id/wwn-0x6001405aaaabbbb", true],
    ["/dev/mapper/mpatha", true],
    ["/dev/sda", false],
    ["/dev/mapper/../sda", false],
    ["/dev/mapper/a/b", false],
    ["/dev/mapperx", false],
    ["/dev/vg.one/root", true],
    ["/dev/vgxone/root", false],
  ])("by its patterns: %s %s", (path, listed) => {
    expect(isListed(path, ["/dev/disk/by-id/*", "/dev/mapper/*", "/dev/vg.one/*"])).toBe(listed);
  });

  it("takes numbers apart as the C library puts them together", () => {
    expect(deviceNumber(0x810n)).toEqual({ major: 8, minor: 16 });
    expect(deviceNumber(0x12310345n)).toEqual({ major: 259, minor: 0x12345 });
  });
});

describe("a block device of its own host", () => {
  it.each([
    ["a logical volume", { "dm/uuid": `LVM-${VOLUME}`, serial: "7" }, `dm LVM-${VOLUME}`],
    ["a disk with a name that others may have", { "device/wwid": "t10.ATA QM00001" }, "name t10.ATA QM00001"],
    ["an array", { "md/uuid": "0-1-2-3" }, "md 0-1-2-3"],
    ["a virtual disk with a serial number", { serial: "data" }, "serial data"],
    ["a loop device", { "loop/backing_file": "/srv/disk" }, "loop /srv/disk"],
    ["a partition", { partition: "1" }, ""],
    ["a disk without any name", {}, ""],
  ])("is known again after a reboot: %s", async (_what, attributes, name) => {
    device("x", "8:0", attributes);
    expect([(await look("8:0")).hostId, (await look("8:0", "boot-2")).hostId]).toEqual([name, name]);
  });

  it.each([
    ["writes and discards, by their sectors", { stat: "1 2 3 4 50 6 700 8 9 10 11 12 13 80 15 16 17" }, 780],
    ["writes alone, of a kernel that counts no discards", { stat: "1 2 3 4 50 6 700 8 9 10 11" }, 700],
    ["nothing that makes sense", { stat: "?" }, undefined],
    ["nothing, as it was told", { stat: "1 2 3 4 50 6 700 8 9 10 11", "queue/iostats": "0" }, undefined],
  ])("has counted %s", async (_what, attributes, sectors) => {
    device("x", "8:0", attributes);
    expect(await writtenSectors({ major: 8, minor: 0 }, new Tree(root, () => {}))).toBe(sectors);
  });
});
