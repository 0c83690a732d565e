/**
 * The machines of the simulated fleet: captures of real /sys and /proc trees (test/fixtures/hosts), each with several
 * states of what guests hold of it.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { customTotals } from "../../agent/claim/custom-totals.js";
import { freeHardware, type Hardware } from "../../agent/claim/free-hardware.js";
import { readCpu } from "../../agent/probe/cpu.js";
import { readNumaCells } from "../../agent/probe/numa.js";
import { readPciDevices } from "../../agent/probe/pci.js";
import { openTrees } from "../../agent/probe/roots.js";
import { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import type { Random } from "./random.js";

export interface Machine {
  readonly hardware: HostHardware;
  readonly vcpus: number;
  readonly pcpus: number;
  readonly memoryMib: number;
  /** Huge pages and devices by class. */
  readonly others: ReadonlyMap<string, number>;
}

/** Of each capture so many machines, which differ in what is taken. */
const STATES = 6;
const KIB_PER_MIB = 1024;

export async function capturedMachines(random: Random): Promise<Machine[]> {
  const archives = readdirSync(fixtures()).filter(name => name.endsWith(".tar.gz"));
  const machines: Machine[] = [];
  for (const archive of archives) {
    const hardware = await readCapture(join(fixtures(), archive));
    for (let state = 0; state < STATES; state += 1)
      machines.push(machineOf(hardware, state / STATES, random));
  }
  return machines;
}

async function readCapture(archive: string): Promise<Hardware & { readonly flags: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), `ferry-bench-${basename(archive, ".tar.gz")}-`));
  try {
    execFileSync("tar", ["-xzf", archive, "-C", folder]);
    const below = (name: string) => join(folder, name);
    const roots = { sys: below("sys"), proc: below("proc"), etc: below("etc"), share: below("share") };
    const trees = openTrees(roots, () => undefined);
    const [cpu, pciDevices] = [await readCpu(trees), await readPciDevices(trees.sys)];
    const cells = await readNumaCells(trees.sys, cpu.topology);
    return { cpu, cells, pciDevices, flags: cpu.flags };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The upper half of each cell's CPUs is dedicated; `taken` of it, and of the devices, is gone. */
function machineOf(
  { flags, ...hardware }: Hardware & { readonly flags: readonly string[] },
  taken: number,
  random: Random,
): Machine {
  const halves = hardware.cells.map(({ cpus }) => [
    cpus.slice(0, Math.ceil(cpus.length / 2)),
    cpus.slice(Math.ceil(cpus.length / 2)),
  ]);
  const [shared, dedicated] = [0, 1].map(half => halves.flatMap(cell => cell[half] ?? []));
  const some = <Item>(items: readonly Item[]) => items.filter(() => random() < taken);
  const held = {
    runs: true,
    cpus: some(dedicated ?? []),
    cells: [],
    pages: [],
    devices: some(hardware.pciDevices.map(({ address }) => address)),
  };
  const config = {
    cpu_shared_set: (shared ?? []).join(","),
    cpu_dedicated_set: (dedicated ?? []).join(","),
    cpu_allocation_ratio: 4,
    ram_allocation_ratio: 1,
    pci_alias: [NVME_ALIAS],
    custom_resources: {},
  };
  const { cpu, cells } = hardware;
  return {
    others: customTotals(hardware, config),
    hardware: HostHardware.fromPartial({
      architecture: "x86_64",
      qemuVersion: 7_002_000,
      cpuFlags: [...flags],
      threadsPerCore: cpu.topology.some(({ siblings }) => siblings.length > 1) ? 2 : 1,
      guests: [{ architecture: "x86_64", hypervisorType: "kvm", vmMode: "hvm" }],
      free: freeHardware(hardware, config, [held]),
    }),
    vcpus: shared?.length ?? 0,
    pcpus: dedicated?.length ?? 0,
    memoryMib: Math.floor(cells.reduce((sum, { totalKib = 0 }) => sum + totalKib, 0) / KIB_PER_MIB),
  };
}

/** Virtual functions of the NVMe controllers in the captures. */
const NVME_ALIAS = {
  name: "nvme",
  vendor_id: "1b36",
  product_id: "0010",
  device_type: "type-VF",
  numa_policy: "preferred",
} as const;

function fixtures(): string {
  for (let folder = import.meta.dirname; folder !== "/"; folder = dirname(folder)) {
    const found = join(folder, "test/fixtures/hosts");
    if (existsSync(found)) return found;
  }
  throw new Error("the captures of hosts are in test/fixtures/hosts of a checkout");
}
