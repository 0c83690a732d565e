/** Memory, huge pages, pins and cells, judged on a captured machine with two cells and pools of 2 MiB and 1 GiB. */

import { beforeAll, describe, expect, it } from "vitest";
import type { TargetHost } from "../../../agent/constraint/target-facts.js";
import { capturedHost, factsOn, manifestFrom, needsOf, resultOf } from "./hosts.js";

let pools: TargetHost;
let poolless: TargetHost;
let memoryOnly: TargetHost;
beforeAll(async () => {
  const captured = await capturedHost("numa2-hugepages");
  // The capture has pools and no mount of them: libvirt needs both.
  const hugePageMounts = [{ path: "/dev/hugepages", sizeKib: 2048 }];
  pools = { ...captured, memory: { ...captured.memory, hugePageMounts } };
  poolless = await capturedHost("numa1-intel");
  memoryOnly = await capturedHost("numa3-memonly-offline");
});

const backedBy = (pages: string, memoryMib: number, more = "") =>
  needsOf({ parts: `<memoryBacking><hugepages>${pages}</hugepages></memoryBacking>${more}`, memoryMib });
const PAGE_2M = '<page size="2048" unit="KiB"/>';

const judge = (name: string, host: TargetHost, needs: ReturnType<typeof needsOf>) =>
  resultOf(name, factsOn(host, needs), manifestFrom(host));

describe("huge-pages", () => {
  it("accepts a host with enough free pages of the size, mounted", () => {
    const free = pools.memory.hugePages.find(({ sizeKib }) => sizeKib === 2048)?.free ?? 0;
    expect(free).toBe(192);
    expect(judge("huge-pages", pools, backedBy(PAGE_2M, 384)).outcome).toBe("ok");
  });

  it("refuses a host with too few, and says have and need", () => {
    const { outcome, reasons } = judge("huge-pages", pools, backedBy(PAGE_2M, 386));
    expect(outcome).toBe("refused");
    expect(reasons[0]).toMatchObject({ have: "192 of 2048 KiB", need: "193 of 2048 KiB" });
  });

  it("counts only the cells that must give the memory", () => {
    const strict = '<numatune><memory mode="strict" nodeset="1"/></numatune>';
    expect(judge("huge-pages", pools, backedBy(PAGE_2M, 128, strict)).outcome).toBe("ok");
    expect(judge("huge-pages", pools, backedBy(PAGE_2M, 130, strict)).outcome).toBe("refused");
    const preferred = strict.replace("strict", "preferred");
    expect(judge("huge-pages", pools, backedBy(PAGE_2M, 130, preferred)).outcome).toBe("ok");
  });

  it("does not count pages that are promised to others", () => {
    const hugePages = pools.memory.hugePages.map(pool => ({ ...pool, reserved: 1 }));
    const promised = { ...pools, memory: { ...pools.memory, hugePages } };
    expect(judge("huge-pages", promised, backedBy(PAGE_2M, 384)).outcome).toBe("refused");
  });

  it("refuses a size that is not mounted, and a host that has none", () => {
    const page1G = '<page size="1" unit="G"/>';
    expect(judge("huge-pages", pools, backedBy(page1G, 1024)).reasons[0]?.message).toMatch(/no hugetlbfs/);
    expect(judge("huge-pages", poolless, backedBy(page1G, 1024)).outcome).toBe("refused");
  });

  it("takes the host's default size where the guest names none", () => {
    expect(pools.memory.hugePageDefaultKib).toBe(2048);
    expect(judge("huge-pages", pools, backedBy("", 384)).outcome).toBe("ok");
    expect(judge("huge-pages", pools, backedBy("", 386)).outcome).toBe("refused");
  });

  it("counts each of the guest's cells for the page that serves it", () => {
    const cells =
      '<cpu><numa><cell id="0" memory="256" unit="MiB"/><cell id="1" memory="1" unit="GiB"/></numa></cpu>';
    const pages = `<page size="2" unit="M" nodeset="0"/><page size="1" unit="G" nodeset="1"/>`;
    expect(backedBy(pages, 1280, cells).hugePages).toEqual([
      { sizeKib: 2048, memoryKib: 262_144 },
      { sizeKib: 1_048_576, memoryKib: 1_048_576 },
    ]);
  });

  it("is unknown where the pool does not read", () => {
    const hugePages = pools.memory.hugePages.map(pool => ({ ...pool, free: undefined }));
    const silent = { ...pools, memory: { ...pools.memory, hugePages } };
    expect(judge("huge-pages", silent, backedBy(PAGE_2M, 2)).outcome).toBe("unknown");
  });
});

describe("memory", () => {
  it("is not asked for what huge pages give", () => {
    const facts = { ...factsOn(pools, backedBy(PAGE_2M, 512)), memoryAvailableMib: 0 };
    expect(resultOf("memory", facts, manifestFrom(pools)).outcome).toBe("ok");
    expect(
      resultOf("memory", { ...factsOn(pools), memoryAvailableMib: 0 }, manifestFrom(pools)).outcome,
    ).toBe("refused");
  });
});

describe("memory-backing", () => {
  const from = (type: string) =>
    needsOf({ parts: `<memoryBacking><source type="${type}"/></memoryBacking>` });

  it("is what libvirt on the target offers", () => {
    expect(judge("memory-backing", pools, from("memfd")).outcome).toBe("ok");
    const without = factsOn(pools, from("memfd"));
    const { support } = without;
    if (support === undefined) throw new Error("no support was recorded");
    const older = { ...without, support: { ...support, memorySources: ["file", "anonymous"] } };
    expect(resultOf("memory-backing", older, manifestFrom(pools)).outcome).toBe("refused");
    const silent = { ...without, support: { ...support, memorySources: [] } };
    expect(resultOf("memory-backing", silent, manifestFrom(pools)).outcome).toBe("unknown");
  });
});

describe("cpu-pins", () => {
  const pinned = (cpuset: string) =>
    needsOf({ parts: `<cputune><vcpupin vcpu="0" cpuset="${cpuset}"/></cputune>` });

  it("must be CPUs that are online on the target", () => {
    expect(judge("cpu-pins", pools, pinned("0-7")).outcome).toBe("ok");
    const { outcome, reasons } = judge("cpu-pins", memoryOnly, pinned("0-7"));
    expect(outcome).toBe("refused");
    expect(reasons[0]).toMatchObject({ have: "0-3", need: "0-7" });
  });

  it("leave out what the list takes out, and are unknown where the list does not read", () => {
    expect(judge("cpu-pins", memoryOnly, pinned("0-4,^4")).outcome).toBe("ok");
    expect(judge("cpu-pins", pools, pinned("0-x")).outcome).toBe("unknown");
  });
});

describe("numa-cells", () => {
  const onCell = (nodeset: string) =>
    needsOf({ parts: `<numatune><memory mode="strict" nodeset="${nodeset}"/></numatune>` });

  it("must exist on the target, memory-only cells included", () => {
    expect(judge("numa-cells", memoryOnly, onCell("2")).outcome).toBe("ok");
    expect(judge("numa-cells", pools, onCell("2")).outcome).toBe("refused");
    expect(judge("numa-cells", { ...pools, cells: [] }, onCell("0")).outcome).toBe("unknown");
  });
});
