/** This very machine, described and compared with what its own tools say. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { availableParallelism, hostname, machine, release } from "node:os";
import { basename } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { describeHost } from "../../agent/probe/host.js";
import { LIVE_ROOTS } from "../../agent/probe/roots.js";
import { SpaceProbe } from "../../agent/probe/space.js";
import { readSystemOnce } from "../../agent/probe/system.js";
import { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import { parseRangeList } from "../../proto/range-list.js";
import { recordedLibvirt } from "../unit/probe/recorded-libvirt.js";

const run = (program: string, ...options: string[]) =>
  execFileSync(program, options, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } }).trim();

const lscpuDocument = z.object({
  lscpu: z.array(z.object({ field: z.string(), data: z.string().nullable() })),
});

/** Top-level rows of `lscpu -J`, by their label without the colon. */
function readLscpu(): ReadonlyMap<string, string> {
  const { lscpu } = lscpuDocument.parse(JSON.parse(run("lscpu", "--json")));
  return new Map(lscpu.map(({ field, data }) => [field.replace(/:$/, ""), data ?? ""]));
}

/** Pages that the allocator manages, summed over the zones of each cell that has memory. */
function managedKibOfCells(): Map<number, number> {
  const pageKib = Number(run("getconf", "PAGE_SIZE")) / 1024;
  const sums = new Map<number, number>();
  for (const zone of readFileSync("/proc/zoneinfo", "utf8").split(/^(?=Node )/m)) {
    const cell = Number(/^Node (\d+)/.exec(zone)?.[1]);
    const pages = Number(/^\s+managed\s+(\d+)/m.exec(zone)?.[1] ?? 0);
    sums.set(cell, (sums.get(cell) ?? 0) + pages * pageKib);
  }
  return sums;
}

describe("this machine", () => {
  let description: HostDescription;
  const lscpu = readLscpu();

  beforeAll(async () => {
    description = await describeHost({
      roots: LIVE_ROOTS,
      hypervisor: recordedLibvirt,
      space: new SpaceProbe(),
      imageDirectories: ["/"],
      system: readSystemOnce(),
    });
  });

  it("has the processors of lscpu and nproc", () => {
    const { cpu } = description;
    expect(cpu?.threads).toBe(Number(run("nproc", "--all")));
    expect(cpu?.onlineCpus.length).toBeGreaterThanOrEqual(availableParallelism());
    expect(cpu?.onlineCpus).toEqual(parseRangeList(lscpu.get("On-line CPU(s) list") ?? "?"));
    expect(cpu).toMatchObject({
      vendor: lscpu.get("Vendor ID"),
      modelName: lscpu.get("Model name"),
      family: Number(lscpu.get("CPU family")),
      model: Number(lscpu.get("Model")),
      stepping: Number(lscpu.get("Stepping")),
      sockets: Number(lscpu.get("Socket(s)")),
      cores: Number(lscpu.get("Core(s) per socket")) * Number(lscpu.get("Socket(s)")),
    });
    expect(cpu?.flags).toEqual([...new Set(lscpu.get("Flags")?.split(" "))].sort());
  });

  it("has the cells of lscpu, and the memory of free", () => {
    const { numaCells, memory } = description;
    expect(numaCells).toHaveLength(Number(lscpu.get("NUMA node(s)")));
    for (const { id, cpus } of numaCells) {
      expect(cpus).toEqual(parseRangeList(lscpu.get(`NUMA node${id} CPU(s)`) ?? "?"));
    }
    expect(memory?.totalKib).toBe(Number(/^Mem:\s+(\d+)/m.exec(run("free", "--kibi"))?.[1]));
    // Not the sum over the cells: under a balloon the kernel counts a cell's pages otherwise than the host's.
    expect(new Map(numaCells.map(({ id, totalKib }) => [id, totalKib]))).toEqual(managedKibOfCells());
  });

  it("has every PCI device of the bus, with its driver", () => {
    const bus = "/sys/bus/pci/devices";
    const drivers = new Map(
      readdirSync("/sys/bus/pci/drivers").flatMap(driver =>
        readdirSync(`/sys/bus/pci/drivers/${driver}`).map(entry => [entry, driver] as const),
      ),
    );
    const found = description.pciDevices.map(({ address, driver }) => [address, driver]);
    expect(found).toEqual(
      readdirSync(bus)
        .sort()
        .map(address => [address, drivers.get(address)]),
    );
  });

  it("is this installation and this boot", () => {
    expect(description).toMatchObject({
      hostname: hostname(),
      kernelRelease: release(),
      architecture: machine(),
      machineId: readFileSync("/etc/machine-id", "utf8").trim(),
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    });
  });

  it("has the file system of findmnt below an image directory", () => {
    const [fileSystem, device] = run("findmnt", "--noheadings", "--output", "FSTYPE,MAJ:MIN", "/").split(
      /\s+/,
    );
    expect(description.imageDirectories).toMatchObject([{ path: "/", space: { fileSystem, device } }]);
  });

  it("offers the firmware whose files are installed", () => {
    expect(description.firmware.length).toBeGreaterThan(0);
    for (const { loaderPath } of description.firmware) {
      expect(loaderPath && basename(realpathSync(loaderPath))).toMatch(/\.fd$/);
    }
  });

  it("has an operating system with a name and no block device of size zero", () => {
    expect(run("sh", "-c", ". /etc/os-release; echo $NAME $VERSION_ID")).toBe(
      `${description.system?.osName} ${description.system?.osRelease}`,
    );
    expect(description.system?.blockDevices.map(({ sizeBytes }) => sizeBytes)).not.toContain(0);
  });

  it("leaves nothing unexplained, and fits a message", () => {
    expect(description.problems).toEqual([]);
    expect(HostDescription.encode(description).finish().length).toBeLessThan(1_000_000);
  });
});
