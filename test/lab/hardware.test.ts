/**
 * Real libvirt on captured machines: a guest with two cells, dedicated CPUs and huge pages that moves between different
 * hardware and back, and servers with virtual functions of their own.
 *
 * Guests are started with their pins, cells and pages; CPUs and nodes that exist in the capture only are bound in the log of
 * the shim. The kernel here has no vfio, so that guests with PCI devices are defined and booked, never started.
 */

import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { IMAGE_DIR } from "./guest.js";
import { type Host, Lab } from "./lab.js";
import { ferry } from "./lab-server.js";

const REAL_PAGES = "/proc/sys/vm/nr_hugepages";
/** 2 MiB each: one guest of 64 MiB here, the same one there, and some to spare. */
const PAGES_NEEDED = 80;

let lab: Lab;
let pagesBefore = "0";
beforeAll(async () => {
  pagesBefore = (await readFile(REAL_PAGES, "utf8")).trim();
  await writeFile(REAL_PAGES, String(Number(pagesBefore) + PAGES_NEEDED));
  const machines = "h1=numa2-hugepages,h2=pci-sriov-numa2,h3=pci-sriov-numa2";
  lab = await Lab.up({ id: "hardware", hosts: 3, env: { LAB_MACHINES: machines } });
  for (const host of ["h1", "h2", "h3"] as const)
    await lab.output(host, ["truncate", "-s", "8M", `${IMAGE_DIR}/empty.raw`]);
});
afterAll(async () => {
  await lab?.down();
  await writeFile(REAL_PAGES, pagesBefore);
});

const flavor = (name: string, vcpus: number, ramMib: number, ...properties: readonly string[]) => {
  const sizes = ["--vcpus", String(vcpus), "--ram", String(ramMib), "--disk", "0"];
  return ferry(lab, "flavor", "create", name, ...sizes, ...properties.flatMap(word => ["--property", word]));
};

const create = (name: string, size: string, host: Host, ...words: readonly string[]) => {
  const image = ["--image", `${IMAGE_DIR}/empty.raw`, "--image-format", "raw", "--root-mode", "copy"];
  return lab.ferry("server", "create", name, "--flavor", size, "--host", host, ...image, ...words);
};

const definition = (host: Host, name: string) =>
  lab.output(host, ["virsh", "-q", "dumpxml", "--inactive", name]);
const stateOf = async (host: Host, name: string) =>
  (await lab.output(host, ["virsh", "domstate", name])).trim();
const pinsIn = (xml: string) =>
  [...xml.matchAll(/<vcpupin vcpu='(\d+)' cpuset='(\d+)'/g)].map(([, , cpu]) => Number(cpu));
const nodesIn = (xml: string) =>
  [...xml.matchAll(/<memnode cellid='\d+' mode='strict' nodeset='(\d+)'/g)].map(([, id]) => Number(id));

describe("a guest with two cells, dedicated CPUs and huge pages", () => {
  let before = "";

  it("is made and started on the cells of its host", async () => {
    const properties = ["hw:cpu_policy=dedicated", "hw:numa_nodes=2", "hw:mem_page_size=2MB"];
    await flavor("pinned", 4, 64, ...properties);
    expect(await create("cells", "pinned", "h1")).toMatchObject({ code: 0 });
    before = await definition("h1", "cells");
    expect(pinsIn(before)).toEqual([0, 1, 4, 5]);
    expect(nodesIn(before)).toEqual([0, 1]);
    expect(before).toContain("<page size='2048' unit='KiB'/>");
    expect(await stateOf("h1", "cells")).toBe("running");
    // Node 1 and CPUs 4-5 exist in the capture only: QEMU and libvirt have asked for them.
    const log = await lab.output("h1", ["cat", "/run/fake-numa.log"]);
    expect(log).toMatch(/^memory 1$/m);
    expect(log).toMatch(/^cpus 4$/m);
  });

  it("gets the CPUs and cells of the other host when it moves", async () => {
    await ferry(lab, "server", "migrate", "cells", "--host", "h2", "--shutdown-timeout", "1", "--wait");
    const there = await definition("h2", "cells");
    expect(pinsIn(there)).toEqual([0, 1, 2, 3]);
    expect(nodesIn(there)).toEqual([0, 1]);
    expect(await stateOf("h2", "cells")).toBe("running");
    expect(await lab.output("h2", ["cat", "/run/fake-numa.log"])).toMatch(/^cpus 3$/m);
    expect(await lab.output("h1", ["virsh", "-q", "list", "--all", "--name"])).not.toContain("cells");
  });

  it("leaves nothing of its CPUs to others, there or at its source", async () => {
    await flavor("one", 1, 32, "hw:cpu_policy=dedicated");
    const refused = await create("late", "one", "h2", "--no-start");
    expect(refused.code).not.toBe(0);
    // Placement has four CPUs left at the source, but no cell has three.
    await flavor("three", 3, 32, "hw:cpu_policy=dedicated");
    expect((await create("wide", "three", "h1", "--no-start")).stderr).toContain("no NUMA cell of the host");
  });

  it("is given back as it was", async () => {
    await ferry(lab, "server", "revert", "cells", "--yes", "--wait");
    expect(await definition("h1", "cells")).toBe(before);
    expect(await stateOf("h1", "cells")).toBe("running");
    expect((await create("late", "one", "h2", "--no-start")).code).toBe(0);
  });
});

describe("servers with virtual functions of an NVMe disk", () => {
  const addressIn = (xml: string) =>
    /<source>\s*<address domain='0x0000' bus='0x(\w+)' slot='0x00' function='0x(\d)'\/>\s*<\/source>/
      .exec(xml)
      ?.slice(1)
      .join(".");

  it("each get one of their own, near their cell", async () => {
    await flavor(
      "fast",
      1,
      32,
      "pci_passthrough:alias=nvme:1",
      "hw:numa_nodes=1",
      "hw:pci_numa_affinity_policy=required",
      "hw:cpu_policy=dedicated",
    );
    expect(await lab.output("h2", ["virsh", "-q", "nodedev-list", "--cap", "pci"])).toContain(
      "pci_0000_81_00_1",
    );
    expect(await create("disk-1", "fast", "h2", "--no-start")).toMatchObject({ code: 0 });
    const first = await definition("h2", "disk-1");
    expect(addressIn(first)).toBe("81.1");
    expect(first).toContain("nodeset='1'");
  });

  it("are refused where there are none, before anything is stopped", async () => {
    const check = await lab.ferry("server", "check", "disk-1", "--host", "h1");
    expect(check.stdout).toMatch(/pci-devices\s+\| refused/);
    expect(check.stdout).toContain("too few free devices nvme");
  });

  it("get another one on the host that they move to", async () => {
    expect(await create("disk-2", "fast", "h3", "--no-start")).toMatchObject({ code: 0 });
    await ferry(lab, "server", "migrate", "disk-1", "--host", "h3", "--wait");
    expect(addressIn(await definition("h3", "disk-1"))).toBe("81.2");
    await ferry(lab, "server", "confirm", "disk-1", "--wait");
    await ferry(lab, "server", "delete", "disk-1", "--yes");
  });
});
