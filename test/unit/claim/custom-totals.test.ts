/** What captured machines offer beside CPUs, memory and disk; and that it is never less than what they can give. */

import { expect, it } from "vitest";
import { customTotals } from "../../../agent/claim/custom-totals.js";
import { capturedHardware, configured, Machine } from "./hardware-on.js";

const NVME = {
  name: "nvme-vf",
  vendor_id: "1b36",
  product_id: "0010",
  device_type: "type-VF" as const,
  numa_policy: "legacy" as const,
};

it("huge pages count over all cells, devices by alias, and what the configuration names as it says", async () => {
  const pages = await capturedHardware("numa2-hugepages");
  const expected = pages.cells.flatMap(cell => cell.hugePages).filter(({ sizeKib }) => sizeKib === 2048);
  const offered = customTotals(pages, configured({ custom_resources: { CUSTOM_LICENSE: 4 } }));
  expect(offered.get("CUSTOM_HUGEPAGES_2MB")).toBe(expected.reduce((sum, { total = 0 }) => sum + total, 0));
  expect(offered.get("CUSTOM_HUGEPAGES_2MB")).toBeGreaterThan(0);
  expect(offered.get("CUSTOM_LICENSE")).toBe(4);

  const devices = await capturedHardware("pci-sriov-numa2");
  const machine = new Machine(devices, { pci_alias: [NVME] });
  const total = customTotals(devices, machine.config).get("CUSTOM_PCI_NVME_VF");
  expect(total).toBe(machine.free.devices.length);
  expect(total).toBeGreaterThan(0);
});

it("what a guest holds is offered still: the controller counts it", async () => {
  const hardware = await capturedHardware("pci-sriov-numa2");
  const machine = new Machine(hardware, { pci_alias: [NVME] });
  const [first] = machine.free.devices;
  const held = { runs: true, cpus: [], cells: [], pages: [], devices: [first?.address ?? ""] };
  const busy = machine.holding(held);
  expect(busy.free.devices.length).toBeLessThan(machine.free.devices.length);
  expect(customTotals(busy.hardware, busy.config)).toEqual(customTotals(hardware, machine.config));
});

it("a host without any offers none", async () => {
  expect([...customTotals(await capturedHardware("numa1"), configured())]).toEqual([]);
});
