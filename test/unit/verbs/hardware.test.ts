/** Servers with CPUs, cells, pages and devices of their own: how they are placed, booked and let go on captured machines. */

import { open } from "node:fs/promises";
import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { closeMigration } from "../../../agent/verbs/close-migration.js";
import { deleteDomain } from "../../../agent/verbs/delete-domain.js";
import { checkHost } from "../../../agent/verbs/examine-target.js";
import { fenceIncarnation } from "../../../agent/verbs/fence-incarnation.js";
import { readFreeHardware } from "../../../agent/verbs/held-hardware.js";
import { prepareSource } from "../../../agent/verbs/prepare-source.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { proveStorage } from "../../../agent/verbs/prove-storage.js";
import { retireSource } from "../../../agent/verbs/retire-source.js";
import { takeDomain } from "../../../agent/verbs/take-domain.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import type { PrepareTarget } from "../../../proto/gen/ferry/v1/agent.js";
import { TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { type CapturedHost, unpackHost } from "../probe/captured-host.js";
import { Certificates } from "../proto/certificates.js";
import { Host, SERVER } from "./host.js";

const PINNED = { "hw:cpu_policy": "dedicated" };
const ALIAS =
  'pci_alias = [{ name = "nvme", vendor_id = "1b36", product_id = "0010", device_type = "type-VF" }]';

let certificates: Certificates;
let smt: CapturedHost;
let pages: CapturedHost;
let pci: CapturedHost;
beforeAll(async () => {
  certificates = await Certificates.make();
  [smt, pages, pci] = [
    unpackHost("numa2-smt-intel"),
    unpackHost("numa2-hugepages"),
    unpackHost("pci-sriov-numa2"),
  ];
});
afterAll(() => {
  certificates[Symbol.dispose]();
  for (const captured of [smt, pages, pci]) captured.remove();
});

const made: Host[] = [];
async function hostOn(captured: CapturedHost, config: string, name = "h2"): Promise<Host> {
  // The captured tree has no agent of its own: what is not hardware is this machine's.
  const host = await Host.make(name, certificates, { roots: captured.roots, config });
  made.push(host);
  return host;
}
afterEach(() => {
  for (const host of made.splice(0)) host[Symbol.dispose]();
});

let target: Host;
beforeEach(async () => {
  target = await hostOn(smt, 'cpu_dedicated_set = "0-7"');
});

const idOf = (number: number) => `11111111-2222-4333-8444-${String(number).padStart(12, "0")}`;

/** A server of its own uuid and name with so many vCPUs. */
function request(
  host: Host,
  number = 1,
  change: Partial<PrepareTarget> = {},
  vcpus = 2,
  parts = "",
): PrepareTarget {
  const xml = host
    .domainXml({ incarnation: `${idOf(number)}/home/source/1` })
    .replaceAll(SERVER, idOf(number))
    .replaceAll("web-3", `web-${number}`)
    .replace("<vcpu>1</vcpu>", `<vcpu>${vcpus}</vcpu>${parts}`);
  const manifest = host.manifest();
  const [file] = manifest.files;
  return {
    manifest: {
      ...manifest,
      domainXml: xml,
      vcpus,
      memoryMib: 64,
      disks: manifest.disks.map(disk => ({ ...disk, path: disk.path.replace("web-3", `web-${number}`) })),
      files:
        file === undefined
          ? []
          : [
              {
                ...file,
                path: file.path.replace("web-3", `web-${number}`),
                relativePath: `web-${number}/disk`,
              },
            ],
    },
    sourceHost: "h1",
    networkMap: {},
    flavor: undefined,
    extraSpecs: PINNED,
    crossCell: false,
    ...change,
  };
}

const callFor = (host: Host, number: number) =>
  host.call({ serverId: idOf(number), migrationId: `m${number}` });

async function prepare(host: Host, asked: PrepareTarget, number = 1) {
  const { plan, refusals } = await prepareTarget(asked, callFor(host, number), host.world);
  return { xml: plan?.domainXml ?? "", refusals: refusals.map(({ message }) => message), plan };
}

const freeCpus = async (host: Host) =>
  (await readFreeHardware(host.world)).cells.flatMap(({ cores }) => cores.flatMap(({ cpus }) => cpus));

describe("a server with dedicated CPUs", () => {
  it("gets its own on the target, whatever it had at the source", async () => {
    const old =
      '<cputune><shares>2048</shares><vcpupin vcpu="0" cpuset="40"/><vcpupin vcpu="1" cpuset="41"/><emulatorpin cpuset="40-41"/></cputune><numatune><memory mode="strict" nodeset="7"/></numatune>';
    const { xml, refusals } = await prepare(target, request(target, 1, {}, 2, old));
    expect(refusals).toEqual([]);
    expect(xml).toContain(
      '<vcpupin vcpu="0" cpuset="0"/><vcpupin vcpu="1" cpuset="1"/><emulatorpin cpuset="0-1"/>',
    );
    expect(xml).toContain('<numatune><memory mode="strict" nodeset="0"/></numatune>');
    expect(xml).toContain("<shares>2048</shares>");
    expect(xml).not.toMatch(/40|nodeset="7"/);
    expect(await freeCpus(target)).toEqual([2, 3, 4, 5, 6, 7]);
  });

  it("is asked for by its definition where its flavor says nothing", async () => {
    const old = '<cputune><vcpupin vcpu="0" cpuset="3"/><vcpupin vcpu="1" cpuset="9"/></cputune>';
    const { xml } = await prepare(target, request(target, 1, { extraSpecs: {} }, 2, old));
    expect(xml).toContain('<vcpupin vcpu="0" cpuset="0"/><vcpupin vcpu="1" cpuset="1"/>');
  });

  it("is refused while it runs when there are none, with what to do", async () => {
    const plain = await hostOn(smt, "");
    const { refusals } = await prepareTarget(request(plain), callFor(plain, 1), plain.world);
    expect(refusals.map(({ message, fix }) => `${message}: ${fix}`)).toEqual([
      expect.stringMatching(/no NUMA cell of the host has what the guest needs: .*cpu_dedicated_set/),
    ]);
    expect(plain.world.bookings.list()).toEqual([]);
  });

  it("finds what other domains have, Ferry's or not, taken", async () => {
    const foreign = target
      .domainXml({ incarnation: "" })
      .replaceAll(SERVER, idOf(9))
      .replace("web-3", "foreign")
      .replace("<vcpu>1</vcpu>", '<vcpu>1</vcpu><cputune><vcpupin vcpu="0" cpuset="0-3"/></cputune>');
    await target.hypervisor.define(foreign);
    const { xml } = await prepare(target, request(target));
    expect(xml).toContain('<vcpupin vcpu="0" cpuset="4"/>');
  });

  it("is resized to one without, and back", async () => {
    const old =
      '<cpu><numa><cell id="0" cpus="0-1" memory="65536" unit="KiB"/></numa></cpu><cputune><vcpupin vcpu="0" cpuset="3"/><vcpupin vcpu="1" cpuset="9"/></cputune><numatune><memory mode="strict" nodeset="1"/></numatune>';
    const shared = await hostOn(smt, 'cpu_shared_set = "0-1"\ncpu_dedicated_set = "2-7"');
    const flavor = Flavor.fromPartial({ name: "plain", vcpus: 1, ramMib: 64 });
    const plain = await prepare(shared, request(shared, 1, { flavor }, 2, old));
    expect(plain.refusals).toEqual([]);
    expect(plain.xml).not.toMatch(/vcpupin|numatune|<numa>/);
    expect(plain.xml).toContain('cpuset="0-1"');
    const two = Flavor.fromPartial({ vcpus: 4, ramMib: 64, extraSpecs: { ...PINNED, "hw:numa_nodes": "2" } });
    const cells = await prepare(shared, request(shared, 2, { flavor: two, extraSpecs: {} }, 1), 2);
    expect(cells.refusals).toEqual([]);
    expect(cells.xml).toContain(
      '<numa><cell id="0" cpus="0-1" memory="32768" unit="KiB"/><cell id="1" cpus="2-3" memory="32768" unit="KiB"/></numa>',
    );
    expect(cells.xml).toContain(
      '<memnode cellid="0" mode="strict" nodeset="0"/><memnode cellid="1" mode="strict" nodeset="1"/>',
    );
  });
});

describe("concurrent claims", () => {
  it("never have a CPU twice: of five servers with two each on eight CPUs one is refused", async () => {
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map(number => prepare(target, request(target, number), number)),
    );
    const placed = answers.filter(({ refusals }) => refusals.length === 0);
    expect(placed).toHaveLength(4);
    const cpus = target.world.bookings.list().flatMap(({ hardware }) => hardware.cpus);
    expect(cpus.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const pinned = placed.flatMap(({ xml }) =>
      [...xml.matchAll(/vcpupin vcpu="\d" cpuset="(\d)"/g)].map(([, cpu]) => cpu),
    );
    expect(new Set(pinned).size).toBe(8);
  });

  it("never have bytes twice: what was free when it was judged is judged again", async () => {
    // Room for one of the two, by what the file system has free.
    const [folder = ""] = target.world.config.image_dirs;
    await using directory = await open(folder, "r");
    const { freeBytes } = await target.world.files.fileSystem(directory.fd);
    const large = (number: number) => {
      const asked = request(target, number, { extraSpecs: {} });
      const [file] = asked.manifest?.files ?? [];
      if (asked.manifest === undefined || file === undefined) throw new Error("no file");
      const files = [{ ...file, dataBytes: Math.floor(freeBytes * 0.6) }];
      return { ...asked, manifest: { ...asked.manifest, files } };
    };
    const answers = await Promise.all([1, 2].map(number => prepare(target, large(number), number)));
    expect(answers.map(({ refusals }) => refusals.length).toSorted()).toEqual([0, 1]);
  });
});

describe("a booking ends", () => {
  const receiptFor = { afterRun: false, peerHost: "h1" };

  it("when the target is withdrawn", async () => {
    await prepare(target, request(target));
    expect(await freeCpus(target)).toHaveLength(6);
    await withdrawTarget(receiptFor, callFor(target, 1), target.world);
    expect(await freeCpus(target)).toHaveLength(8);
  });

  it("not when the migration is confirmed, but when the server is deleted", async () => {
    const { plan } = await prepare(target, request(target));
    await target.hypervisor.define(plan?.domainXml ?? "");
    target.world.guests.update(idOf(1), { role: "active" });
    await closeMigration({ outcome: "confirmed" }, callFor(target, 1), target.world);
    expect(await freeCpus(target)).toHaveLength(6);
    await deleteDomain({}, target.call({ serverId: idOf(1), migrationId: "" }), target.world);
    expect(await freeCpus(target)).toHaveLength(8);
  });

  it("for a source when it is retired, and not while it is only fenced", async () => {
    const source = await hostOn(smt, 'cpu_dedicated_set = "0-7"', "h1");
    const xml = source
      .domainXml()
      .replace("<vcpu>1</vcpu>", '<vcpu>1</vcpu><cputune><vcpupin vcpu="0" cpuset="5"/></cputune>');
    await source.settle({ xml });
    await prepareSource({ readOnlyDrives: "refuse" }, source.call(), source.world);
    await proveStorage({ plan: TargetPlan.fromPartial({}), targetHost: "h2" }, source.call(), source.world);
    await source.hypervisor.destroy(SERVER, { graceful: false });
    await fenceIncarnation({ stateHash: "", peerHost: "h2", sharedFiles: [] }, source.call(), source.world);
    expect(source.hypervisor.domains.size).toBe(0);
    expect(await freeCpus(source)).not.toContain(5);
    await retireSource({}, source.call(), source.world);
    expect(await freeCpus(source)).toContain(5);
  });

  it("is asked again at a later epoch without standing in its own way", async () => {
    const all = request(target, 1, {}, 4);
    const first = await prepare(target, all);
    const later = { ...callFor(target, 1), epoch: 7 };
    const { refusals } = await prepareTarget(all, later, target.world);
    expect([first.refusals, refusals]).toEqual([[], []]);
    expect(target.world.bookings.list()).toHaveLength(1);
    expect(await freeCpus(target)).toHaveLength(4);
  });

  it("before it began when the agent dies in the middle of it: all of the claim is there, or nothing", async () => {
    const { documents } = target.world;
    const put = documents.put.bind(documents);
    documents.put = (server, migration, kind, body) => {
      if (kind === "claim") throw new Error("killed");
      put(server, migration, kind, body);
    };
    await expect(prepare(target, request(target))).rejects.toThrow("killed");
    target.restart();
    expect(await freeCpus(target)).toHaveLength(8);
    expect(target.world.documents.list("target")).toEqual([]);
    expect((await prepare(target, request(target))).refusals).toEqual([]);
  });

  it("never by a restart of the agent", async () => {
    await prepare(target, request(target));
    target.restart();
    expect(await freeCpus(target)).toHaveLength(6);
  });
});

describe("huge pages and devices", () => {
  it("come with the target's cell, size and addresses", async () => {
    const host = await hostOn(pci, `cpu_dedicated_set = "0-3"\n${ALIAS}`);
    const hostdev =
      '<hostdev mode="subsystem" type="pci" managed="no"><source><address domain="0x0000" bus="0x05" slot="0x00" function="0x3"/></source><alias name="ua-disk"/><address type="pci" domain="0x0000" bus="0x07" slot="0x00" function="0x0"/></hostdev>';
    const specs = { ...PINNED, "hw:mem_page_size": "2MB", "hw:pci_numa_affinity_policy": "required" };
    const asked = request(host, 1, { extraSpecs: specs });
    const manifest = asked.manifest;
    if (manifest === undefined) throw new Error("no manifest");
    const { xml, refusals } = await prepare(host, {
      ...asked,
      manifest: {
        ...manifest,
        domainXml: manifest.domainXml.replace("</devices>", `${hostdev}</devices>`),
        facts: {
          ...(manifest.facts ?? fail()),
          assignedDevices: [{ address: "0000:05:00.3", alias: "nvme" }],
        },
      },
    });
    // The capture has no hugetlbfs mounted, which is the only thing wrong.
    expect(refusals).toEqual(["the target has no hugetlbfs for pages of 2048 KiB"]);
    expect(xml).toBe("");
    const small = await prepare(host, {
      ...asked,
      extraSpecs: { ...specs, "hw:mem_page_size": "small" },
      manifest: {
        ...manifest,
        domainXml: manifest.domainXml.replace("</devices>", `${hostdev}</devices>`),
        facts: {
          ...(manifest.facts ?? fail()),
          assignedDevices: [{ address: "0000:05:00.3", alias: "nvme" }],
        },
      },
    });
    expect(small.refusals).toEqual([]);
    expect(small.xml).toContain(
      'managed="yes"><source><address domain="0x0000" bus="0x81" slot="0x00" function="0x1"/></source><alias name="ua-disk"/><address type="pci" domain="0x0000" bus="0x07"',
    );
    expect(small.xml).toContain('nodeset="1"');
    expect(host.world.bookings.list()[0]?.hardware.devices).toEqual(["0000:81:00.1"]);
  });

  it("of a domain that is adopted are its own from then on", async () => {
    const host = await hostOn(pci, ALIAS, "h1");
    const hostdev =
      '<hostdev mode="subsystem" type="pci" managed="yes"><source><address domain="0x0000" bus="0x81" slot="0x00" function="0x2"/></source></hostdev>';
    await host.settle({ xml: host.domainXml({ incarnation: "", extra: hostdev }) });
    const taken = await takeDomain(
      { swapDisks: [], ephemeralDisks: [], readOnlyDrives: "refuse" },
      host.call({ migrationId: "" }),
      host.world,
    );
    expect(taken.refusals).toEqual([]);
    const { devices } = await readFreeHardware(host.world);
    expect(devices.map(({ address }) => address)).not.toContain("0000:81:00.2");
  });

  it("that no alias names keep a server where it is", async () => {
    const host = await hostOn(pci, "", "h1");
    const hostdev =
      '<hostdev mode="subsystem" type="pci"><source><address domain="0x0000" bus="0x81" slot="0x00" function="0x2"/></source></hostdev>';
    await host.settle({ xml: host.domainXml({ extra: hostdev }) });
    const { refusals } = await prepareSource({ readOnlyDrives: "refuse" }, host.call(), host.world);
    expect(refusals).toMatchObject([{ have: "0000:81:00.2", fix: expect.stringMatching(/pci_alias/) }]);
  });
});

const fail = (): never => {
  throw new Error("missing");
};

describe("bandwidth that ports are guaranteed", () => {
  const port =
    '<interface type="network"><source network="lan"/><bandwidth><inbound average="2000" floor="1000"/></bandwidth></interface>';
  const withPort = (host: Host, number: number): PrepareTarget => {
    const asked = request(host, number, { extraSpecs: {} });
    if (asked.manifest === undefined) throw new Error("no manifest");
    const domainXml = asked.manifest.domainXml.replace("</devices>", `${port}</devices>`);
    return { ...asked, manifest: { ...asked.manifest, domainXml } };
  };

  it("is what the network has left beside other guests, and unknown where nobody said", async () => {
    const host = await hostOn(smt, "port_bandwidth = { lan = 1500 }");
    host.hypervisor.virtualNetworks = [{ name: "lan", active: true, bridge: "virbr7" }];
    const first = await prepare(host, withPort(host, 1));
    expect(first.refusals).toEqual([]);
    await host.hypervisor.define(first.xml);
    expect((await prepare(host, withPort(host, 2), 2)).refusals).toEqual([
      "network lan of the target has too little bandwidth left to guarantee",
    ]);
    const silent = await hostOn(smt, "");
    silent.hypervisor.virtualNetworks = host.hypervisor.virtualNetworks;
    expect((await prepare(silent, withPort(silent, 1))).refusals).toEqual([
      "the bandwidth of network lan is not known",
    ]);
  });
});

/** As a machine of that flavor has it. */
const cellsXml = (vcpus: number, cells: number): string =>
  cells === 1
    ? ""
    : `<cpu><numa><cell id="0" cpus="0-${vcpus - 1}" memory="32768"/><cell id="1" cpus="${vcpus}-${2 * vcpus - 1}" memory="32768"/></numa></cpu>`;

describe("a check and the claim after it", () => {
  it("never disagree on an unchanged host", async () => {
    let agreed = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            vcpus: fc.integer({ min: 1, max: 4 }),
            policy: fc.constantFrom("prefer", "isolate", "require"),
            cells: fc.constantFrom(1, 2),
            emulator: fc.boolean(),
          }),
          { minLength: 2, maxLength: 5 },
        ),
        async guests => {
          const host = await hostOn(smt, 'cpu_dedicated_set = "0-6"\ncpu_shared_set = "7"');
          for (const [index, { vcpus, policy, cells, emulator }] of guests.entries()) {
            const extraSpecs = {
              ...PINNED,
              "hw:cpu_thread_policy": policy,
              ...(emulator ? { "hw:emulator_threads_policy": "isolate" } : {}),
            };
            const words = { ...extraSpecs, "hw:numa_nodes": String(cells) };
            const asked = request(
              host,
              index + 1,
              { extraSpecs: words },
              vcpus * cells,
              cellsXml(vcpus, cells),
            );
            const call = callFor(host, index + 1);
            const checks = await checkHost(asked, call, host.world);
            const isGood = checks.every(({ outcome, informational }) => outcome === "ok" || informational);
            const { plan } = await prepareTarget(asked, call, host.world);
            expect(plan !== undefined).toBe(isGood);
            agreed += isGood ? 1 : 0;
          }
          const cpus = host.world.bookings.list().flatMap(({ hardware }) => hardware.cpus);
          expect(new Set(cpus).size).toBe(cpus.length);
        },
      ),
      { numRuns: 12 },
    );
    expect(agreed).toBeGreaterThan(5);
  });
});
