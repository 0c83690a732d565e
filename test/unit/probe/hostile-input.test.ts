/** Trees that are empty, cut off or full of garbage: a description with named gaps, never a crash, never an invented value. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeHost } from "../../../agent/probe/host.js";
import { SpaceProbe } from "../../../agent/probe/space.js";
import { HostDescription } from "../../../proto/gen/ferry/v1/host.js";
import { type CapturedHost, rootsBelow, unpackHost } from "./captured-host.js";
import { plantTree } from "./planted-tree.js";
import { recordedLibvirt, silentLibvirt } from "./recorded-libvirt.js";

const directory = mkdtempSync(join(tmpdir(), "ferry-hostile-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function describeBelow(root: string, hypervisor = recordedLibvirt, imageDirectories: string[] = []) {
  const system = async () => ({ system: undefined, problems: ["systeminformation bios: it broke"] });
  return describeHost({
    roots: rootsBelow(root),
    hypervisor,
    space: new SpaceProbe(),
    imageDirectories,
    system,
  });
}

/** Removed at the end with the rest. */
function plant(name: string, files: Record<string, string>): string {
  const root = join(directory, name);
  plantTree(root, files);
  return root;
}

describe("a host of which nothing can be read", () => {
  it("is described by its problems, with no value made up", async () => {
    const nowhere = join(directory, "nowhere");
    const description = await describeBelow(nowhere, silentLibvirt, [join(nowhere, "images")]);
    const { cpu, memory, ...rest } = description;
    expect(cpu).toMatchObject({ onlineCpus: [], flags: [] });
    for (const value of [
      cpu?.sockets,
      cpu?.cores,
      cpu?.threads,
      cpu?.family,
      memory?.totalKib,
      memory?.freeKib,
    ]) {
      expect(value).toBeUndefined();
    }
    expect(rest).toMatchObject({ numaCells: [], pciDevices: [], storagePools: [], networks: [] });
    expect(rest.imageDirectories).toEqual([{ path: join(nowhere, "images"), space: undefined }]);
    expect(description.problems).toEqual(
      expect.arrayContaining([
        `${nowhere}/proc/cpuinfo: ENOENT`,
        `${nowhere}/proc/meminfo: ENOENT`,
        `${nowhere}/sys/devices/system/cpu/online: ENOENT`,
        `${nowhere}/sys/devices/system/node/online: ENOENT`,
        `${nowhere}/images: ENOENT`,
        "libvirt storage pools: the daemon does not answer",
        "systeminformation bios: it broke",
      ]),
    );
  });
});

describe("garbage", () => {
  it("in a file is a problem that quotes it, and no value", async () => {
    const root = plant("garbage", {
      "proc/cpuinfo": "\u0000\u0001\u0002",
      "proc/meminfo": "MemTotal: lots kB\nMemFree: 12 kB\n",
      "sys/devices/system/cpu/online": "0-99999999",
      "sys/devices/system/node/online": "0",
      "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:  99999999999999999999 kB",
      "sys/devices/system/node/node0/distance": "10 20 30",
      "sys/devices/system/node/node0/cpulist": "all",
      "sys/bus/pci/devices/0000:00:01.0/class": "0x02",
      "sys/bus/pci/devices/0000:00:01.0/numa_node": "-2",
      "sys/bus/pci/devices/0000:00:01.0/iommu_group": "-> ../groups/none",
      "sys/bus/pci/devices/not-an-address/class": "0x020000",
      "etc/machine-id": "uninitialized",
      "etc/qemu/firmware/50-broken.json": "{",
      "etc/qemu/firmware/60-other.json": '{"mapping": []}',
    });
    const description = await describeBelow(root);
    expect(description.memory).toMatchObject({ totalKib: undefined, freeKib: 12 });
    expect(description.numaCells).toMatchObject([{ id: 0, totalKib: undefined, distances: [], cpus: [] }]);
    expect(description.pciDevices).toMatchObject([{ address: "0000:00:01.0", class: undefined }]);
    expect(description.machineId).toBeUndefined();
    const [sys, proc] = [`${root}/sys/devices/system`, `${root}/proc`];
    expect(description.problems).toEqual(
      expect.arrayContaining([
        `${proc}/cpuinfo: cannot make sense of ${JSON.stringify("\u0000\u0001\u0002")}`,
        `${proc}/meminfo: has no MemTotal`,
        `${sys}/cpu/online: cannot make sense of "0-99999999"`,
        `${sys}/node/node0/meminfo: has no MemTotal`,
        `${sys}/node/node0/distance: cannot make sense of "10 20 30"`,
        `${root}/sys/bus/pci/devices/0000:00:01.0/numa_node: cannot make sense of "-2"`,
        `${root}/sys/bus/pci/devices/0000:00:01.0/iommu_group: cannot make sense of "none"`,
        `${root}/etc/machine-id: cannot make sense of "uninitialized"`,
        `${root}/etc/qemu/firmware/50-broken.json: is no firmware descriptor`,
        `${root}/etc/qemu/firmware/60-other.json: is no firmware descriptor`,
      ]),
    );
  });

  it("in the topology takes the counts away instead of lowering them", async () => {
    const topology = "sys/devices/system/cpu";
    const root = plant("topology", {
      [`${topology}/online`]: "0-1",
      [`${topology}/cpu0/topology/physical_package_id`]: "0",
      [`${topology}/cpu0/topology/core_id`]: "0",
      [`${topology}/cpu0/topology/thread_siblings_list`]: "0",
      [`${topology}/cpu1/topology/physical_package_id`]: "-1",
    });
    const { cpu } = await describeBelow(root);
    expect(cpu).toMatchObject({ threads: 2, sockets: undefined, cores: undefined });
  });

  it("where a directory should be is no crash", async () => {
    const root = plant("files-for-directories", {
      "sys/devices": "a file",
      "sys/class/net/bonding_masters": "a file",
      "sys/bus/pci/devices": "a file",
      "proc/self": "-> /proc/self/ns/nothing",
    });
    const { problems } = await describeBelow(root);
    expect(problems).toContain(`${root}/sys/devices/system/cpu/online: ENOTDIR`);
    expect(problems.filter(problem => problem.includes("bonding_masters"))).toEqual([]);
  });
});

/** The files that a description is read from; others could not hurt it. */
const READ =
  /^proc\/(cpuinfo|meminfo|version)$|\/topology\/|system\/(cpu|node)\/(online|present|possible)$|\/node\d+\/(meminfo|distance|cpulist)$|_hugepages$|\/pci[^/]*\/.*\/(class|vendor|device|subsystem_\w+|numa_node|sriov_\w+vfs)$/;

describe("a captured host with one file cut off or overwritten", () => {
  let host: CapturedHost;
  let files: string[];

  beforeAll(() => {
    host = unpackHost("pci-sriov-numa2");
    files = host.files().filter(path => READ.test(path));
  });
  afterAll(() => host.remove());

  it("is still described, and what is described can still be sent", async () => {
    const garbage = fc.oneof(
      fc.string(),
      fc.constantFrom("", "-1", "-5", "99999999999999999999", "0x", "0-3,", "4294967296"),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(files.length - 1), garbage, async (index, content) => {
        const path = files[index] ?? "";
        const original = host.read(path);
        writeFileSync(join(host.directory, path), content);
        try {
          const description = await describeBelow(host.directory);
          const wire = HostDescription.encode(description).finish();
          expect(HostDescription.decode(wire).numaCells).toHaveLength(description.numaCells.length);
        } finally {
          writeFileSync(join(host.directory, path), original);
        }
      }),
      { numRuns: 60 },
    );
  });
});
