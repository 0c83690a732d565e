import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DiskRole, layOutDisks, probeDisks } from "../../../agent/disk/disk-layout.js";
import { createSwapDisk, swapSpaceOf } from "../../../agent/disk/swap.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { edit, inactiveXml } from "../domain/fixtures.js";
import { plainFiles } from "./plain-files.js";
import { qcow2Image } from "./qcow2-image.js";
import { temporaryDirectory } from "./temporary-directory.js";

const LUN = {
  sizeBytes: 8 * 1024 ** 2,
  worldWideId: "naa.6001405aaaabbbbccccddddeeeeffff0",
  lacking: "",
  kernelId: "",
  hostId: "",
};
const MIB = 1024 * 1024;
const UUID = "b2b5a3a0-5b1c-4d4e-9b8e-0123456789ab";

/** The disks that the captured guest names, in a directory of the test's own. */
async function guest(change: (xml: string) => string = xml => xml) {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory, name);
  await writeFile(path("base.qcow2"), qcow2Image({}));
  await writeFile(path("disk"), qcow2Image({ backingFile: "base.qcow2", backingFormat: "qcow2" }));
  await writeFile(path("disk.eph0"), "");
  await truncate(path("disk.eph0"), 16 * MIB);
  await createSwapDisk(path("disk.swap"), 16 * MIB, swapSpaceOf(16 * MIB, UUID, "swap0"));
  await writeFile(path("cd.iso"), isoImage("config-2"));
  const runTool = async () => JSON.stringify({ "virtual-size": 8 * MIB });
  const domain = readDomain(change(inactiveXml.replaceAll("/var/lib/libvirt/images", directory)));
  const layOut = async (declared: Record<string, DiskRole> = {}) =>
    layOutDisks(
      await probeDisks(
        {
          files: plainFiles,
          places: { directories: [directory] },
          runTool,
          blockDevices: { read: async at => ({ ...LUN, path: at }) },
        },
        domain,
      ),
      new Map(Object.entries(declared)),
    );
  return { path, layOut };
}

function isoImage(label: string): Buffer {
  const image = Buffer.alloc(40 * 1024);
  image.write("\x01CD001\x01", 32 * 1024, "latin1");
  image.write(label.padEnd(32), 32 * 1024 + 40, "latin1");
  return image;
}

function fatImage(label: string): Buffer {
  const image = Buffer.alloc(16 * MIB);
  image.writeUInt16LE(0xaa55, 510);
  image.write("FAT16   ", 54, "latin1");
  image.write(label.padEnd(11), 43, "latin1");
  return image;
}

const roles = (disks: readonly { targetDev: string; role: DiskRole }[]) =>
  disks.map(({ targetDev, role }) => `${targetDev} ${role}`);

describe("the disks of a guest", () => {
  it("are told apart, and a swap signature is only a suggestion", async () => {
    const { layOut, path } = await guest();
    const disks = await layOut();
    expect(roles(disks)).toEqual([
      "vda root",
      "vdb ephemeral",
      "vdc ephemeral",
      "sda config-drive",
      "sdb empty",
    ]);
    expect(disks.map(({ suggestion }) => suggestion)).toEqual([
      undefined,
      undefined,
      "swap",
      undefined,
      undefined,
    ]);
    expect(disks[0]).toMatchObject({
      path: path("disk"),
      format: "qcow2",
      virtualSizeBytes: 64 * MIB,
      chain: [{ path: path("disk") }, { path: path("base.qcow2") }],
    });
    expect(disks[2]).toMatchObject({ swap: { uuid: UUID, label: "swap0" }, virtualSizeBytes: 16 * MIB });
  });

  it("have the roles that were declared", async () => {
    const { layOut } = await guest();
    const disks = await layOut({ vdc: "swap", vdb: "root", vda: "ephemeral" });
    expect(roles(disks).slice(0, 3)).toEqual(["vda ephemeral", "vdb root", "vdc swap"]);
    expect(disks[2]).toMatchObject({ reason: "declared", suggestion: undefined });
  });

  it("have their root by serial, else by boot order, else first", async () => {
    const plain = (xml: string) => xml.replace("<serial>root</serial>", "").replace("<boot order='1'/>", "");
    const bySerial = await guest(xml => plain(xml).replace("<alias", "<serial>root</serial><alias"));
    const byBootOrder = await guest(xml => plain(xml).replace("<alias", "<boot order='1'/><alias"));
    const first = await guest(plain);
    expect(roles(await bySerial.layOut())[1]).toBe("vdb root");
    expect(roles(await byBootOrder.layOut())[1]).toBe("vdb root");
    expect(roles(await first.layOut())[0]).toBe("vda root");
  });

  it("include volumes, which are neither swap nor ephemeral whatever somebody declares", async () => {
    const withVolume = (xml: string) =>
      xml.replace(
        "<disk ",
        "<disk type='network' device='disk'><driver type='raw'/><source protocol='nbd' name='v'><host name='store'/></source><target dev='vdx'/><boot order='9'/></disk><disk ",
      );
    const { layOut } = await guest(withVolume);
    const [volume] = await layOut();
    expect(volume).toMatchObject({
      role: "volume",
      path: "nbd://store:10809/v",
      virtualSizeBytes: 8 * MIB,
      chain: [],
    });
    await expect(layOut({ vdx: "swap" })).rejects.toThrow("disk vdx is a volume and cannot be declared swap");
  });

  it("include block devices, which are never read", async () => {
    const withDevice = (xml: string) =>
      xml.replace(
        "<disk ",
        "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/mapper/lun'/><target dev='vdx'/><boot order='9'/></disk><disk ",
      );
    const { layOut } = await guest(withDevice);
    expect((await layOut())[0]).toMatchObject({
      role: "volume",
      reason: "a block device",
      path: "/dev/mapper/lun",
      format: "raw",
      virtualSizeBytes: 8 * MIB,
      chain: [],
    });
    await expect(layOut({ vdx: "ephemeral" })).rejects.toThrow("is a block device and cannot be declared");
  });

  it("include a writable config drive, told by its label", async () => {
    const { layOut, path } = await guest();
    await writeFile(path("disk.eph0"), fatImage("CONFIG-2"));
    expect(roles(await layOut())[1]).toBe("vdb config-drive");
    await writeFile(path("disk.eph0"), fatImage("OTHER"));
    expect(roles(await layOut())[1]).toBe("vdb ephemeral");
  });

  it("include install media, which is no config drive", async () => {
    const { layOut, path } = await guest();
    await writeFile(path("cd.iso"), isoImage("DEBIAN"));
    expect(roles(await layOut())[3]).toBe("sda media");
  });

  it("are refused by name when an image is not what it is declared to be", async () => {
    const { layOut, path } = await guest();
    await writeFile(path("disk"), Buffer.alloc(65_536));
    await expect(layOut()).rejects.toThrow("disk vda: ");
    await expect(layOut()).rejects.toThrow("lies about its format");
  });

  it("are refused without a declared format, two roots, or a declaration of no disk", async () => {
    const undeclared = await guest(xml => edit(xml, "type='qcow2' cache", "cache"));
    await expect(undeclared.layOut()).rejects.toMatchObject({ detail: { have: "no declared format" } });
    const { layOut } = await guest();
    await expect(layOut({ vda: "root", vdb: "root" })).rejects.toThrow("more than one");
    await expect(layOut({ vdz: "swap" })).rejects.toThrow("no disk vdz");
  });
});
