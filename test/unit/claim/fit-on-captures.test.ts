/** Flavors on captured machines: each constraint of cells, CPUs, pages and devices with a host that has it and one that lacks it. */

import { beforeAll, describe, expect, it } from "vitest";
import type { Held } from "../../../agent/claim/free-hardware.js";
import { bookingOf } from "../../../agent/claim/hardware-booking.js";
import type { Placement } from "../../../proto/fit/fit-hardware.js";
import { capturedHardware, Machine } from "./hardware-on.js";

let hugePages: Machine;
let smt: Machine;
let four: Machine;
let memoryOnly: Machine;
let pci: Machine;
const NVME = {
  name: "nvme",
  vendor_id: "1b36",
  product_id: "0010",
  device_type: "type-VF" as const,
  numa_policy: "legacy" as const,
};

beforeAll(async () => {
  const [a, b, c, d, e] = await Promise.all(
    ["numa2-hugepages", "numa2-smt-intel", "numa4-smt", "numa3-memonly-offline", "pci-sriov-numa2"].map(
      capturedHardware,
    ),
  );
  if (!a || !b || !c || !d || !e) throw new Error("five captures");
  hugePages = new Machine(a, {});
  smt = new Machine(b, { cpu_dedicated_set: "0-7" });
  four = new Machine(c, { cpu_dedicated_set: "0-15" });
  memoryOnly = new Machine(d, { cpu_dedicated_set: "0-7", cpu_shared_set: "" });
  pci = new Machine(e, { cpu_dedicated_set: "0-3", pci_alias: [NVME] });
});

const DEDICATED = { "hw:cpu_policy": "dedicated" };
const pinsOf = ({ cells }: Placement) => cells.flatMap(({ pins }) => pins.map(({ cpu }) => cpu));
const held = (placement: Placement, runs = false): Held => ({ ...bookingOf(placement), runs });

describe("huge pages", () => {
  const large = { vcpus: 1, ramMib: 1024, specs: { "hw:mem_page_size": "1GB" } };

  it("come from the one cell that has them, and are refused when a guest has taken them", () => {
    const placement = hugePages.place(large);
    expect(placement.cells).toMatchObject([{ hostCell: 1, pageKib: 1_048_576 }]);
    expect(hugePages.holding(held(placement)).refuse(large)).toMatch(/cell 1: 0 pages of 1048576 KiB/);
  });

  it("of a size that the machine has none of are refused", () => {
    expect(new Machine(smt.hardware, {}).refuse(large)).toMatch(
      /0 pages of 1048576 KiB.*1024 MiB in pages of 1048576 KiB/s,
    );
  });

  it("are the largest that fit, for large and any", () => {
    const page = (size: string, ramMib: number) =>
      hugePages.place({ vcpus: 1, ramMib, specs: { "hw:mem_page_size": size } }).cells[0]?.pageKib;
    expect([page("large", 1024), page("large", 128), page("any", 2048), page("small", 128)]).toEqual([
      1_048_576, 2048, 0, 0,
    ]);
  });

  it("that a running guest holds are not counted twice, and those of one that is off are kept", () => {
    const guest = { vcpus: 1, ramMib: 128, specs: { "hw:mem_page_size": "2MB" } };
    const booking = bookingOf(hugePages.place(guest));
    // Cell 0 has 128 pages; the kernel has given 64 of them to somebody.
    const [first, ...others] = hugePages.hardware.cells;
    if (first === undefined) throw new Error("no cell");
    const cell = { ...first, hugePages: first.hugePages.map(pool => ({ ...pool, free: 64 })) };
    const machine = new Machine({ ...hugePages.hardware, cells: [cell, ...others] }, {});
    const freeWith = (runs: boolean) => machine.holding({ ...booking, runs }).free.cells[0]?.pages[0]?.free;
    expect(booking.cells[0]).toMatchObject({ hostCell: 0, pageKib: 2048 });
    expect(freeWith(true)).toBe(64);
    expect(freeWith(false)).toBe(0);
  });

  it("of guests bound to no cell are kept somewhere", () => {
    const unbound: Held = {
      cpus: [],
      cells: [],
      devices: [],
      pages: [{ pageKib: 2048, memoryKib: 130 * 2048 }],
      runs: false,
    };
    const pages = hugePages.holding(unbound).free.cells.map(cell => cell.pages[0]?.free ?? 0);
    expect(pages[0]).toBe(0);
    expect(pages[1]).toBe(62);
  });
});

describe("dedicated CPUs", () => {
  it("are refused where the host sets none aside, with what to do", () => {
    const plain = new Machine(smt.hardware, {});
    expect(plain.refuse({ specs: DEDICATED })).toMatch(/cpu_dedicated_set in the host's agent.toml/);
    expect(plain.refuse({ specs: {} })).toBe("");
  });

  it("go to one guest each, until there are none left", () => {
    let machine = smt;
    const taken: number[] = [];
    for (let guest = 0; guest < 4; guest++) {
      const placement = machine.place({ specs: DEDICATED });
      taken.push(...pinsOf(placement));
      machine = machine.holding(held(placement));
    }
    expect(taken.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(machine.refuse({ specs: DEDICATED })).toMatch(/0 dedicated CPUs free/);
  });

  it("are threads of one core, or cores of their own, by policy", () => {
    const pins = (policy: string) =>
      pinsOf(smt.place({ specs: { ...DEDICATED, "hw:cpu_thread_policy": policy } }));
    expect(pins("require")).toEqual([0, 1]);
    expect(pins("isolate")).toEqual([0, 2]);
    expect(pins("prefer")).toEqual([0, 1]);
  });

  it("keep the other threads of isolated cores idle", () => {
    const specs = { ...DEDICATED, "hw:cpu_thread_policy": "isolate" };
    const placement = smt.place({ specs });
    expect(placement.bookedCpus).toEqual([0, 1, 2, 3]);
    const after = smt.holding(held(placement));
    expect(after.place({ specs: DEDICATED }).cells[0]?.hostCell).toBe(1);
  });

  it("with required sibling threads are refused on a machine without them", () => {
    const specs = { ...DEDICATED, "hw:cpu_thread_policy": "require" };
    expect(four.refuse({ specs })).toMatch(/threads: require/);
  });

  it("leave one for isolated emulator threads, or share", () => {
    const isolate = smt.place({ specs: { ...DEDICATED, "hw:emulator_threads_policy": "isolate" } });
    expect(isolate.emulatorCpus).toHaveLength(1);
    expect(isolate.bookedCpus).toHaveLength(3);
    const machine = new Machine(smt.hardware, { cpu_dedicated_set: "2-7", cpu_shared_set: "0-1" });
    const share = machine.place({ specs: { ...DEDICATED, "hw:emulator_threads_policy": "share" } });
    expect(share.emulatorCpus).toEqual([0, 1]);
  });

  it("of a mixed guest are beside shared ones of the same cell", () => {
    const machine = new Machine(smt.hardware, { cpu_dedicated_set: "2-3,6-7", cpu_shared_set: "0-1,4-5" });
    const placement = machine.place({
      vcpus: 3,
      specs: { "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "^0" },
    });
    expect(placement.cells).toMatchObject([{ floating: [0], floatingCpus: [0, 1] }]);
    expect(pinsOf(placement)).toEqual([2, 3]);
  });

  it("that are offline or absent are nobody's", () => {
    expect(memoryOnly.free.cells.flatMap(({ cores }) => cores.flatMap(({ cpus }) => cpus))).toEqual([
      0, 1, 2, 3,
    ]);
    expect(memoryOnly.refuse({ vcpus: 5, specs: DEDICATED })).toMatch(/4 dedicated CPUs free/);
  });
});

describe("cells", () => {
  it("of one guest are near each other", () => {
    const placement = four.place({ vcpus: 4, specs: { ...DEDICATED, "hw:numa_nodes": "2" } });
    expect(placement.cells.map(({ hostCell }) => hostCell)).toEqual([0, 1]);
    const busy = four.holding(held(four.place({ vcpus: 4, specs: DEDICATED })));
    const next = busy.place({ vcpus: 4, specs: { ...DEDICATED, "hw:numa_nodes": "2" } });
    expect(next.cells.map(({ hostCell }) => hostCell)).toEqual([2, 3]);
  });

  it("are never more than the host has", () => {
    expect(smt.refuse({ vcpus: 3, ramMib: 129, specs: { "hw:numa_nodes": "3" } })).toMatch(
      /more NUMA cells than the host: cells 0-1/,
    );
  });

  it("without CPUs take no vCPUs", () => {
    const specs = { ...DEDICATED, "hw:numa_nodes": "2" };
    expect(memoryOnly.refuse({ specs })).toMatch(/not all at once/);
    expect(memoryOnly.place({ specs: DEDICATED }).cells[0]?.hostCell).toBe(0);
  });

  it("do not overcommit memory for which a page size was asked", () => {
    const machine = new Machine(smt.hardware, { cpu_dedicated_set: "0-7", ram_allocation_ratio: 2 });
    const guest = { vcpus: 1, ramMib: 400, specs: DEDICATED };
    const once = machine.holding(held(machine.place(guest))).holding(held(machine.place(guest)));
    expect(once.refuse(guest)).toBe("");
    const small = { ...guest, specs: { ...DEDICATED, "hw:mem_page_size": "small" } };
    const [first] = machine.place(small).cells;
    const taken = machine.holding(held(machine.place(small)));
    expect(taken.place(small).cells[0]?.hostCell).not.toBe(first?.hostCell);
    expect(taken.holding(held(taken.place(small))).refuse(small)).toMatch(/MiB of ordinary memory/);
  });
});

describe("devices", () => {
  const one = { vcpus: 1, ramMib: 64, specs: { ...DEDICATED, "pci_passthrough:alias": "nvme:1" } };
  const withPolicy = (policy: string, count = 1) => ({
    ...one,
    specs: { ...DEDICATED, "pci_passthrough:alias": `nvme:${count}`, "hw:pci_numa_affinity_policy": policy },
  });

  it("are virtual functions at the cell of the guest", () => {
    const placement = pci.place(withPolicy("required"));
    expect(placement.cells[0]?.hostCell).toBe(1);
    expect(placement.devices).toEqual(["0000:81:00.1"]);
    expect(pci.refuse(withPolicy("required", 4))).toMatch(/not where the guest's cells fit/);
  });

  it("of an unknown cell will do for legacy, all for preferred", () => {
    expect(pci.place(withPolicy("legacy", 6)).devices).toHaveLength(6);
    expect(pci.place(withPolicy("preferred", 6)).devices).toHaveLength(6);
    expect(pci.refuse(withPolicy("preferred", 7))).toMatch(/too few free devices nvme/);
  });

  it("that a guest has, nobody else gets, nor the physical function", () => {
    const both = new Machine(pci.hardware, {
      pci_alias: [NVME, { ...NVME, name: "whole", device_type: "type-PF" }],
    });
    const specs = { "pci_passthrough:alias": "nvme:1" };
    const placement = both.place({ specs });
    const after = both.holding(held(placement));
    expect(after.place({ specs }).devices).not.toEqual(placement.devices);
    const whole = { specs: { "pci_passthrough:alias": "whole:2" } };
    expect(both.place(whole).devices).toHaveLength(2);
    expect(after.refuse(whole)).toMatch(/too few free devices whole/);
  });

  it("go with their IOMMU group or not at all; bridges to other buses do not count", () => {
    const named = (name: string, address: string) => ({ name, address, numa_policy: "legacy" as const });
    const machine = (...pci_alias: ReturnType<typeof named>[]) => new Machine(pci.hardware, { pci_alias });
    const specs = (alias: string) => ({ specs: { "pci_passthrough:alias": alias } });
    // 00:1f.2 (ahci) and 00:1f.7 (virtio-pci) share group 6 with two devices that no driver holds.
    const sata = machine(named("sata", "0000:00:1f.2"));
    expect(sata.refuse(specs("sata:1"))).toMatch(
      /0000:00:1f.7 of the same IOMMU group 6 is held by virtio-pci/,
    );
    const whole = machine(named("sata", "0000:00:1f.2"), named("blk", "0000:00:1f.7"));
    expect(whole.refuse(specs("sata:1"))).toMatch(/ask for the whole IOMMU group/);
    expect(whole.place(specs("sata:1,blk:1")).devices).toEqual(["0000:00:1f.2", "0000:00:1f.7"]);
    // 04:00.0 is in group 9 with the switch port above it.
    expect(machine(named("nic", "0000:04:00.0")).place(specs("nic:1")).devices).toEqual(["0000:04:00.0"]);
  });

  it("without an IOMMU are refused, and so are bridges", () => {
    const bare = pci.hardware.pciDevices.map(device => ({ ...device, iommuGroup: undefined }));
    const machine = new Machine({ ...pci.hardware, pciDevices: bare }, { pci_alias: [NVME] });
    expect(machine.refuse({ specs: { "pci_passthrough:alias": "nvme:1" } })).toMatch(/no IOMMU group/);
    const bridge = new Machine(pci.hardware, {
      pci_alias: [{ name: "port", class: "0604", numa_policy: "legacy" }],
    });
    expect(bridge.free.devices).toEqual([]);
  });

  it("serve ports of their physical network", () => {
    const port = {
      name: "port",
      address: "0000:82:00.0",
      numa_policy: "legacy" as const,
      physical_network: "lan",
    };
    const [device] = new Machine(pci.hardware, { pci_alias: [port] }).free.devices;
    expect(device?.aliases).toEqual({ port: "legacy", "network/lan": "legacy" });
  });
});
