/** Nova's extra specs as what they ask for; what contradicts itself is refused in words. */

import { describe, expect, it } from "vitest";
import { dedicatedCount } from "../../../proto/fit/guest-hardware.js";
import { hardwareWords, readGuestHardware } from "../../../proto/fit/read-guest-hardware.js";

const SIZES = { vcpus: 4, ramMib: 4096 };
const read = (extraSpecs: Record<string, string>) => readGuestHardware(extraSpecs, SIZES);

describe("extra specs", () => {
  it("that say nothing of hardware ask for nothing", () => {
    expect(read({ "trait:HW_CPU_X86_AVX2": "required", "hw:watchdog_action": "reset" })).toMatchObject({
      cells: [],
      devices: [],
    });
  });

  it("divide vCPUs and memory evenly among cells, or as told", () => {
    expect(read({ "hw:numa_nodes": "2" }).cells).toEqual([
      { vcpus: [0, 1], dedicated: [], memoryKib: 2048 * 1024 },
      { vcpus: [2, 3], dedicated: [], memoryKib: 2048 * 1024 },
    ]);
    const told = read({
      "hw:numa_nodes": "2",
      "hw:numa_cpus.0": "0",
      "hw:numa_cpus.1": "1-3",
      "hw:numa_mem.0": "1024",
      "hw:numa_mem.1": "3072",
    });
    expect(told.cells.map(({ vcpus, memoryKib }) => [vcpus.length, memoryKib / 1024])).toEqual([
      [1, 1024],
      [3, 3072],
    ]);
  });

  it("make one cell of a guest with dedicated CPUs or a page size, as Nova does", () => {
    expect(read({ "hw:cpu_policy": "dedicated" }).cells).toEqual([
      { vcpus: [0, 1, 2, 3], dedicated: [0, 1, 2, 3], memoryKib: 4096 * 1024 },
    ]);
    expect(read({ "hw:mem_page_size": "large" }).cells).toHaveLength(1);
  });

  it("name dedicated vCPUs of a mixed guest, or those that are not", () => {
    const cells = (mask: string) =>
      read({ "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": mask }).cells.map(
        ({ dedicated }) => dedicated,
      );
    expect(cells("2-3")).toEqual([[2, 3]]);
    expect(cells("^0-1")).toEqual([[2, 3]]);
  });

  it.each([
    ["2048", 2048],
    ["2MB", 2048],
    ["1GB", 1_048_576],
    ["1GiB", 1_048_576],
    ["4", "small"],
    ["any", "any"],
  ])("read %s as a page size", (text, size) => {
    expect(read({ "hw:mem_page_size": text }).pageSize).toBe(size);
  });

  it("count one more CPU for isolated emulator threads", () => {
    const guest = read({ "hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate" });
    expect(dedicatedCount(guest)).toBe(5);
    expect(dedicatedCount(read({ "hw:numa_nodes": "2" }))).toBe(0);
  });

  it("ask for devices one by one", () => {
    const guest = read({
      "pci_passthrough:alias": "gpu:2, nic:1",
      "hw:pci_numa_affinity_policy": "required",
    });
    expect(guest.devices).toEqual(["gpu", "gpu", "nic"].map(alias => ({ alias, policy: "required" })));
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ "hw:numa_nodes": "3" }, /cannot be evenly distributed/],
    [{ "hw:numa_nodes": "0" }, /invalid hw:numa_nodes/],
    [{ "hw:numa_nodes": "2", "hw:numa_cpus.0": "0-3" }, /must be provided for all NUMA nodes/],
    [{ "hw:numa_cpus.0": "0-3" }, /names no cell/],
    [{ "hw:numa_nodes": "1", "hw:numa_cpus.0": "0-3", "hw:numa_mem.0": "1" }, /flavor's memory/],
    [{ "hw:numa_nodes": "1", "hw:numa_cpus.0": "0-2", "hw:numa_mem.0": "4096" }, /each vCPU once/],
    [{ "hw:cpu_policy": "exclusive" }, /invalid value for hw:cpu_policy/],
    [{ "hw:cpu_policy": "mixed" }, /needs hw:cpu_dedicated_mask/],
    [{ "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-3" }, /some|invalid hw:cpu_dedicated_mask/],
    [{ "hw:cpu_policy": "dedicated", "hw:cpu_dedicated_mask": "0" }, /for a mixed CPU policy/],
    [{ "hw:cpu_thread_policy": "isolate" }, /needs dedicated CPUs/],
    [{ "hw:emulator_threads_policy": "share" }, /needs dedicated CPUs/],
    [{ "hw:mem_page_size": "enormous" }, /invalid hw:mem_page_size/],
    [{ "pci_passthrough:alias": "gpu" }, /invalid pci_passthrough:alias/],
    [{ "pci_passthrough:alias": "gpu:0" }, /invalid pci_passthrough:alias/],
  ])("%j are refused", (extraSpecs, sentence) => {
    expect(() => read(extraSpecs)).toThrow(sentence);
  });

  it("are kept apart from other words", () => {
    const words = { "hw:numa_nodes": "2", "pci_passthrough:alias": "gpu:1" };
    expect(hardwareWords({ ...words, "hw:watchdog_action": "reset", ssd: "true" })).toEqual(words);
  });
});
