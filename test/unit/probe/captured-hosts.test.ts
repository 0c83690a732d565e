/**
 * The captured hosts, each checked against what other parts of the same capture say: the kernel log, /proc/zoneinfo
 * (memory), /proc/iomem (which function owns which window), /proc/cpuinfo counted by hand.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeHost } from "../../../agent/probe/host.js";
import { SpaceProbe } from "../../../agent/probe/space.js";
import type { HostDescription } from "../../../proto/gen/ferry/v1/host.js";
import { type CapturedHost, unpackHost } from "./captured-host.js";
import { recordedLibvirt } from "./recorded-libvirt.js";

interface Expected {
  readonly vendor: string;
  readonly modelName: string;
  /** Family, model, stepping as the log's `smpboot: CPU0` line has them. */
  readonly signature: readonly [number, number, number];
  readonly microcode: string;
  readonly flags: number;
  readonly counts: { readonly sockets: number; readonly cores: number; readonly threads: number };
  /** Managed pages of /proc/zoneinfo, in KiB. */
  readonly cellsKib: readonly number[];
  readonly distances: readonly (readonly number[])[];
  readonly cpus: readonly (readonly number[])[];
  readonly pciDevices: number;
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const QEMU_TCG = { vendor: "AuthenticAMD", microcode: "0x1000065", signature: [15, 107, 1] } as const;
const SKYLAKE = {
  vendor: "GenuineIntel",
  modelName: "Intel Xeon Processor (Skylake)",
  signature: [6, 0x55, 4],
  microcode: "0x1",
  flags: 65,
} as const;

const HOSTS: Record<string, Expected> = {
  numa1: {
    ...QEMU_TCG,
    modelName: "QEMU Virtual CPU version 2.5+",
    flags: 37,
    counts: { sockets: 1, cores: 2, threads: 2 },
    cellsKib: [210_492],
    distances: [[10]],
    cpus: [[0, 1]],
    pciDevices: 5,
  },
  "numa1-intel": {
    vendor: "GenuineIntel",
    modelName: "Intel Xeon Processor (Cascadelake)",
    signature: [6, 0x55, 6],
    microcode: "0x1",
    flags: 65,
    counts: { sockets: 1, cores: 4, threads: 4 },
    cellsKib: [467_660],
    distances: [[10]],
    cpus: [range(0, 3)],
    pciDevices: 5,
  },
  "numa2-hugepages": {
    ...QEMU_TCG,
    modelName: "QEMU TCG CPU version 2.5+",
    flags: 81,
    counts: { sockets: 2, cores: 8, threads: 8 },
    cellsKib: [3_028_692, 3_047_300],
    distances: [
      [10, 21],
      [21, 10],
    ],
    cpus: [range(0, 3), range(4, 7)],
    pciDevices: 5,
  },
  "numa2-smt-intel": {
    ...SKYLAKE,
    counts: { sockets: 2, cores: 4, threads: 8 },
    cellsKib: [513_892, 469_464],
    distances: [
      [10, 21],
      [21, 10],
    ],
    cpus: [range(0, 3), range(4, 7)],
    pciDevices: 5,
  },
  "numa3-memonly-offline": {
    ...SKYLAKE,
    counts: { sockets: 2, cores: 4, threads: 4 },
    cellsKib: [513_644, 515_424, 470_208],
    distances: [
      [10, 20, 20],
      [20, 10, 20],
      [20, 20, 10],
    ],
    cpus: [range(0, 3), [], []],
    pciDevices: 5,
  },
  "numa4-smt": {
    vendor: "AuthenticAMD",
    modelName: "AMD EPYC Processor",
    signature: [0x17, 1, 2],
    microcode: "0x1000065",
    flags: 69,
    counts: { sockets: 4, cores: 16, threads: 16 },
    cellsKib: [513_892, 469_656, 514_928, 514_732],
    distances: [
      [10, 16, 28, 28],
      [16, 10, 28, 28],
      [28, 28, 10, 16],
      [28, 28, 16, 10],
    ],
    cpus: [range(0, 3), range(4, 7), range(8, 11), range(12, 15)],
    pciDevices: 5,
  },
  "pci-sriov-numa2": {
    ...QEMU_TCG,
    modelName: "QEMU TCG CPU version 2.5+",
    flags: 81,
    counts: { sockets: 2, cores: 4, threads: 4 },
    cellsKib: [514_384, 467_888],
    distances: [
      [10, 20],
      [20, 10],
    ],
    cpus: [
      [0, 1],
      [2, 3],
    ],
    pciDevices: 26,
  },
};

const captured = new Map<string, { host: CapturedHost; description: HostDescription }>();

/** What the tests of one captured host need; made before all of them. */
function capture(name: string) {
  const found = captured.get(name);
  if (!found) throw new Error(`${name} was not unpacked`);
  return { ...found, log: found.host.read("dmesg.txt") };
}

beforeAll(async () => {
  for (const name of Object.keys(HOSTS)) {
    const host = unpackHost(name);
    const sources = {
      roots: host.roots,
      hypervisor: recordedLibvirt,
      space: new SpaceProbe(),
      imageDirectories: [],
    };
    const system = async () => ({ system: undefined, problems: [] });
    captured.set(name, { host, description: await describeHost({ ...sources, system }) });
  }
});

afterAll(() => {
  for (const { host } of captured.values()) host.remove();
});

describe.each(Object.entries(HOSTS))("captured host %s", (name, expected) => {
  it("has the processors that the kernel announced", () => {
    const { cpu } = capture(name).description;
    const { vendor, modelName, microcode } = expected;
    const [family, model, stepping] = expected.signature;
    expect(cpu).toMatchObject({ vendor, modelName, family, model, stepping, microcode, ...expected.counts });
    expect(cpu?.flags).toHaveLength(expected.flags);
    const { log } = capture(name);
    const announced = /CPU0: .*\(family: (0x\w+), model: (0x\w+), stepping: (0x\w+)\)/.exec(log)?.slice(1);
    expect(announced?.map(Number)).toEqual([family, model, stepping]);
    expect(log).toMatch(new RegExp(`Brought up ${expected.cellsKib.length} nodes?, ${cpu?.threads} CPUs`));
  });

  it("has the cells, their memory, distances and CPUs", () => {
    const { numaCells } = capture(name).description;
    expect(numaCells.map(cell => cell.totalKib)).toEqual(expected.cellsKib);
    expect(numaCells.map(cell => cell.distances.map(({ distance }) => distance))).toEqual(expected.distances);
    expect(numaCells.map(cell => cell.distances.map(({ cell: id }) => id))).toEqual(
      numaCells.map(() => numaCells.map(({ id }) => id)),
    );
    expect(numaCells.map(cell => cell.cpus)).toEqual(expected.cpus);
    expect(numaCells.flatMap(cell => cell.siblings.flatMap(({ cpus }) => cpus))).toEqual(
      expected.cpus.flat(),
    );
  });

  it("has the PCI devices with the ids and classes that the kernel enumerated", () => {
    const { log, description } = capture(name);
    const line = /pci (\S+): \[(\w{4}):(\w{4})\] type \d+ class 0x(\w{6})/g;
    const enumerated = [...log.matchAll(line)].map(([, address, vendorId, deviceId, code]) => ({
      address,
      vendorId,
      deviceId,
      class: code,
    }));
    expect(enumerated).toHaveLength(expected.pciDevices);
    const described = description.pciDevices.map(({ address, vendorId, deviceId, class: code }) => ({
      address,
      vendorId,
      deviceId,
      class: code,
    }));
    expect(described).toEqual(expect.arrayContaining(enumerated));
    expect(described).toHaveLength(expected.pciDevices);
  });

  it("has the subsystem ids that the devices carry in their configuration space", () => {
    const { description, host } = capture(name);
    const ordinary = description.pciDevices.filter(
      pci => !pci.physicalFunction && !pci.class?.startsWith("0604"),
    );
    expect(ordinary.length).toBeGreaterThan(3);
    for (const pci of ordinary) {
      const configuration = readFileSync(join(host.roots.sys, "bus/pci/devices", pci.address, "config"));
      const id = (offset: number) => configuration.readUInt16LE(offset).toString(16).padStart(4, "0");
      expect([pci.subsystemVendorId, pci.subsystemDeviceId]).toEqual([id(0x2c), id(0x2e)]);
    }
  });

  it("puts devices into the IOMMU groups that the kernel made", () => {
    const { log, description } = capture(name);
    const line = /pci (\S+): Adding to iommu group (\d+)/g;
    const made = new Map([...log.matchAll(line)].map(([, address, group]) => [address, Number(group)]));
    const groups = description.pciDevices.map(({ address, iommuGroup }) => [address, iommuGroup]);
    expect(groups).toEqual(description.pciDevices.map(({ address }) => [address, made.get(address)]));
  });

  it("says what the capture does not hold, and nothing else", () => {
    const { description, host } = capture(name);
    expect(description.problems).toEqual(
      [
        `${host.roots.etc}/machine-id: ENOENT`,
        `${host.roots.proc}/self/mountinfo: ENOENT`,
        `${host.roots.proc}/sys/kernel/hostname: ENOENT`,
        `${host.roots.proc}/sys/kernel/random/boot_id: ENOENT`,
      ].sort(),
    );
    expect(description).toMatchObject({ kernelRelease: "6.1.0-56-amd64", architecture: "x86_64" });
    expect(description.bootId).toBeUndefined();
  });
});

describe("huge pages", () => {
  it("are known for each size, of the host and of each cell", () => {
    const { memory, numaCells } = capture("numa2-hugepages").description;
    const reserved = 0;
    expect(memory?.hugePages).toEqual([
      { sizeKib: 2_048, total: 192, free: 192, reserved },
      { sizeKib: 1_048_576, total: 1, free: 1, reserved },
    ]);
    expect(
      numaCells.map(cell => cell.hugePages.map(({ sizeKib, total, free }) => [sizeKib, total, free])),
    ).toEqual([
      [
        [2_048, 128, 128],
        [1_048_576, 0, 0],
      ],
      [
        [2_048, 64, 64],
        [1_048_576, 1, 1],
      ],
    ]);
  });

  it("add up to what /proc/meminfo calls Hugetlb", () => {
    for (const name of Object.keys(HOSTS)) {
      const { description, host } = capture(name);
      const kib = description.memory?.hugePages.reduce(
        (sum, page) => sum + page.sizeKib * (page.total ?? 0),
        0,
      );
      expect(kib).toBe(Number(/^Hugetlb:\s+(\d+) kB$/m.exec(host.read("proc/meminfo"))?.[1]));
    }
  });

  it("have no 1 GiB size on a processor without pdpe1gb", () => {
    const { cpu, memory } = capture("numa1").description;
    expect(cpu?.flags).not.toContain("pdpe1gb");
    expect(memory?.hugePages.map(page => page.sizeKib)).toEqual([2_048]);
  });
});

describe("a host with hyper-threading", () => {
  it("groups the threads by core", () => {
    const { numaCells, cpu } = capture("numa2-smt-intel").description;
    expect(numaCells.map(cell => cell.siblings.map(({ cpus }) => cpus))).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [
        [4, 5],
        [6, 7],
      ],
    ]);
    expect(cpu?.topology[5]).toEqual({ id: 5, socketId: 1, dieId: 0, coreId: 0, siblings: [4, 5] });
  });
});

describe("a host with a memory-only cell and CPUs still to be plugged in", () => {
  it("tells absent from offline, and keeps the cells without CPUs", () => {
    const { description, log } = capture("numa3-memonly-offline");
    expect(log).toContain("Allowing 8 CPUs, 4 hotplug CPUs");
    expect(description.cpu).toMatchObject({
      onlineCpus: range(0, 3),
      offlineCpus: [],
      absentCpus: range(4, 7),
    });
    expect(description.numaCells[2]).toMatchObject({ id: 2, cpus: [], siblings: [], freeKib: 421_452 });
    expect(description.numaCells[2]?.hugePages[0]).toMatchObject({ sizeKib: 2_048, total: 16, free: 16 });
  });
});

describe("a host with SR-IOV", () => {
  const device = (address: string) =>
    capture("pci-sriov-numa2").description.pciDevices.find(pci => pci.address === address);

  it.each(["0000:01:00", "0000:81:00"])("knows the virtual functions of %s and the way back", slot => {
    const virtualFunctions = [1, 2, 3].map(number => `${slot}.${number}`);
    expect(device(`${slot}.0`)).toMatchObject({
      driver: "nvme",
      class: "010802",
      virtualFunctionsMax: 4,
      virtualFunctionsEnabled: 3,
      virtualFunctions,
    });
    for (const address of virtualFunctions) {
      const virtual = device(address);
      expect(virtual).toMatchObject({ physicalFunction: `${slot}.0`, virtualFunctions: [] });
      expect(virtual?.driver).toBeUndefined();
      expect(virtual?.virtualFunctionsMax).toBeUndefined();
    }
  });

  it("agrees with /proc/iomem on which function owns whose windows", () => {
    const windows = capture("pci-sriov-numa2").host.read("proc/iomem");
    const owned = [...windows.matchAll(/^ {4}\S+ : (0000:\S+)\n((?: {6}\S+ : 0000:\S+\n?)+)/gm)];
    const owners = owned.map(([, owner, inner]) => [
      owner,
      [...(inner ?? "").matchAll(/0000:\S+/g)].map(String),
    ]);
    expect(owners).toHaveLength(2);
    for (const [owner, inner] of owners) expect(device(String(owner))?.virtualFunctions).toEqual(inner);
  });

  it("knows the cell of a device where the platform says, and no cell where it does not", () => {
    const { pciDevices } = capture("pci-sriov-numa2").description;
    const onCell1 = pciDevices
      .filter(({ numaCell }) => numaCell === 1)
      .map(({ address }) => address.slice(5, 7));
    expect(new Set(onCell1)).toEqual(new Set(["80", "81", "82"]));
    expect(onCell1).toHaveLength(7);
    expect(pciDevices.filter(({ numaCell }) => numaCell === undefined)).toHaveLength(19);
  });
});
