/** What the captured hosts do not have: bridges, firmware descriptors, uneven processors, CPUs switched off. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readCpu } from "../../../agent/probe/cpu.js";
import { readFirmware } from "../../../agent/probe/firmware.js";
import { readIdentity } from "../../../agent/probe/identity.js";
import { readBridges } from "../../../agent/probe/network.js";
import { readNumaCells } from "../../../agent/probe/numa.js";
import { openTrees } from "../../../agent/probe/roots.js";
import { rootsBelow } from "./captured-host.js";
import { plantTree } from "./planted-tree.js";

let root: string;
let problems: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ferry-planted-"));
  problems = [];
});
afterEach(() => rmSync(root, { recursive: true }));

function plant(files: Readonly<Record<string, string>>) {
  plantTree(root, files);
  return openTrees(rootsBelow(root), problem => problems.push(problem));
}

describe("bridges", () => {
  it("are told from other interfaces, with their ports", async () => {
    const { sys } = plant({
      "sys/class/net/br0/bridge/bridge_id": "8000.525400000001",
      "sys/class/net/br0/brif/eth1/port_no": "0x1",
      "sys/class/net/br0/brif/eth0/port_no": "0x2",
      "sys/class/net/br0/mtu": "9000",
      "sys/class/net/br0/flags": "0x1003",
      "sys/class/net/br0/address": "52:54:00:00:00:01",
      "sys/class/net/br-down/bridge/bridge_id": "8000.000000000000",
      "sys/class/net/br-down/brif/.keep": "",
      "sys/class/net/br-down/flags": "0x1002",
      "sys/class/net/eth0/mtu": "1500",
      "sys/class/net/bonding_masters": "",
    });
    expect(await readBridges(sys)).toEqual([
      { name: "br-down", ports: [".keep"], mtuBytes: undefined, up: false, macAddress: undefined },
      { name: "br0", ports: ["eth0", "eth1"], mtuBytes: 9_000, up: true, macAddress: "52:54:00:00:00:01" },
    ]);
    expect(problems).toHaveLength(2);
  });
});

describe("firmware descriptors", () => {
  const descriptor = (description: string) =>
    JSON.stringify({
      description,
      "interface-types": ["uefi"],
      mapping: {
        device: "flash",
        executable: { filename: "/usr/share/OVMF/OVMF_CODE_4M.fd", format: "raw" },
        "nvram-template": { filename: "/usr/share/OVMF/OVMF_VARS_4M.fd", format: "raw" },
      },
      targets: [{ architecture: "x86_64", machines: ["pc-i440fx-*", "pc-q35-*"] }],
      features: ["acpi-s3"],
      tags: [],
    });

  it("come in order of preference; the administrator's file replaces one and an empty file hides one", async () => {
    const trees = plant({
      "share/qemu/firmware/60-plain.json": descriptor("plain"),
      "share/qemu/firmware/50-secure.json": descriptor("secure"),
      "share/qemu/firmware/70-hidden.json": descriptor("hidden"),
      "share/qemu/firmware/README": "not a descriptor",
      "etc/qemu/firmware/50-secure.json": descriptor("secure, ours"),
      "etc/qemu/firmware/70-hidden.json": "",
    });
    const firmware = await readFirmware(trees);
    expect(firmware.map(({ description }) => description)).toEqual(["secure, ours", "plain"]);
    expect(firmware[1]).toMatchObject({
      interfaces: ["uefi"],
      device: "flash",
      loaderPath: "/usr/share/OVMF/OVMF_CODE_4M.fd",
      nvramTemplatePath: "/usr/share/OVMF/OVMF_VARS_4M.fd",
      targets: [{ architecture: "x86_64", machines: ["pc-i440fx-*", "pc-q35-*"] }],
    });
    expect(problems).toEqual([]);
  });

  it("may map the image as memory, without a variable store", async () => {
    const trees = plant({
      "etc/qemu/firmware/10-bios.json": '{"mapping": {"device": "memory", "filename": "/bios.bin"}}',
    });
    expect(await readFirmware(trees)).toMatchObject([{ device: "memory", loaderPath: "/bios.bin" }]);
  });
});

describe("processors", () => {
  const processor = (id: number, flags: string) =>
    `processor\t: ${id}\nvendor_id\t: X\nflags\t\t: ${flags}\n`;
  const topology = "sys/devices/system/cpu";
  const cpu = (id: number, siblings: string) => ({
    [`${topology}/cpu${id}/topology/physical_package_id`]: "0",
    [`${topology}/cpu${id}/topology/core_id`]: `${id % 4}`,
    [`${topology}/cpu${id}/topology/thread_siblings_list`]: siblings,
  });

  it("that differ have only their common flags, and it is said", async () => {
    const trees = plant({ "proc/cpuinfo": `${processor(0, "sse avx2 aes")}\n${processor(1, "aes sse")}` });
    expect((await readCpu(trees)).flags).toEqual(["aes", "sse"]);
    expect(problems).toContain(
      `${root}/proc/cpuinfo: not every processor has avx2: not counted as the host's`,
    );
  });

  it("that are switched off are neither online nor absent, and their core keeps its other thread", async () => {
    const trees = plant({
      "proc/cpuinfo": processor(0, "sse"),
      [`${topology}/online`]: "0-2",
      [`${topology}/present`]: "0-3",
      [`${topology}/possible`]: "0-7",
      ...cpu(0, "0,2"),
      ...cpu(1, "1"),
      ...cpu(2, "0,2"),
    });
    expect(await readCpu(trees)).toMatchObject({
      onlineCpus: [0, 1, 2],
      offlineCpus: [3],
      absentCpus: [4, 5, 6, 7],
      cores: 2,
      threads: 3,
    });
  });
});

describe("cells whose numbers have gaps", () => {
  it("have their distances under the right numbers", async () => {
    const node = (id: number, distance: string) => ({
      [`sys/devices/system/node/node${id}/distance`]: distance,
      [`sys/devices/system/node/node${id}/cpulist`]: "",
      [`sys/devices/system/node/node${id}/meminfo`]: `Node ${id} MemTotal: 1 kB\nNode ${id} MemFree: 0 kB`,
    });
    const { sys } = plant({
      "sys/devices/system/node/online": "0,8",
      ...node(0, "10 40"),
      ...node(8, "40 10"),
    });
    const cells = await readNumaCells(sys, []);
    expect(cells.map(({ id, distances, freeKib }) => [id, distances, freeKib])).toEqual([
      [
        0,
        [
          { cell: 0, distance: 10 },
          { cell: 8, distance: 40 },
        ],
        0,
      ],
      [
        8,
        [
          { cell: 0, distance: 40 },
          { cell: 8, distance: 10 },
        ],
        0,
      ],
    ]);
    expect(problems).toEqual([]);
  });
});

describe("the identity of a host", () => {
  it("is its name, its installation and its boot", async () => {
    const bootId = "0f4e9d2c-0c0a-4a5e-9a34-2f5a4f1b7a10";
    const trees = plant({
      "proc/sys/kernel/hostname": "h1\n",
      "proc/sys/kernel/random/boot_id": `${bootId}\n`,
      "proc/sys/kernel/arch": "aarch64\n",
      "proc/version": "Linux version 6.12.1-arm64 (builder) #1 SMP",
      "etc/machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
    });
    expect(await readIdentity(trees)).toEqual({
      hostname: "h1",
      bootId,
      architecture: "aarch64",
      kernelRelease: "6.12.1-arm64",
      machineId: "3d1219c7c4c5404aaa1f6d2a48adfda4",
    });
  });
});
