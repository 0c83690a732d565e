import { describe, expect, it } from "vitest";
import { diskNames, poolTarget } from "../../../agent/os/libvirt-xml.js";

describe("the target of a pool", () => {
  it("is its type and path", () => {
    const xml =
      "<pool type='dir'><name>images</name><target>\n <path>/var/lib/images</path>\n</target></pool>";
    expect(poolTarget(xml)).toEqual({ type: "dir", path: "/var/lib/images" });
  });

  it("has no path where the pool has none", () => {
    expect(poolTarget("<pool type='rbd'><source/></pool>")).toEqual({ type: "rbd", path: "" });
  });
});

describe("the disks of a domain", () => {
  it("are named by their targets, those inside backing chains and mirrors are not counted", () => {
    const xml = `<domain><devices>
      <disk><source file='/a'/><backingStore><target dev='no'/></backingStore><target dev='vda'/></disk>
      <disk device='cdrom'><target dev='sda'/></disk>
      <interface><target dev='vnet0'/></interface></devices></domain>`;
    expect(diskNames(xml)).toEqual(["vda", "sda"]);
  });

  it("may be none", () => {
    expect(diskNames("<domain/>")).toEqual([]);
  });
});
