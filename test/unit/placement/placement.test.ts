import { type Arbitrary, array, assert, asyncProperty, constantFrom, integer, nat, record } from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fleet } from "../../../controller/fleet/fleet.js";
import { beginMove, claimForServer, finishMove, undoMove } from "../../../controller/placement/placement.js";
import { resourcesOf } from "../../../controller/placement/resources.js";
import { capacityOf } from "../../../controller/placement/shortage.js";
import { listAllocations } from "../../../controller/store/allocations.js";
import { bookedInventories } from "../../../controller/store/inventories.js";
import type { Store } from "../../../controller/store/store.js";
import { HeartbeatRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { VirtualClock } from "../../simulation/virtual-clock.js";
import { openFreshStore } from "../../store-under-test.js";

const HOSTS = ["h1", "h2"];
let store: Store;

beforeEach(async () => {
  store = await openFreshStore();
  const fleet = new Fleet({ store, clock: new VirtualClock() });
  for (const host of HOSTS) {
    const inventory = { resourceClass: "VCPU", total: 5, reserved: 1, allocationRatio: 1.5, used: 0 };
    await fleet.heartbeat(HeartbeatRequest.fromPartial({ host, installId: host, inventories: [inventory] }));
  }
});
afterEach(() => store.close());

const vcpus = (amount: number) => new Map([["VCPU", amount]]);

describe("resources of a flavor", () => {
  it("round swap up to a GiB, and leave out what is not needed", () => {
    const flavor = Flavor.fromPartial({ vcpus: 2, ramMib: 512, rootGib: 3, swapMib: 1 });
    expect([...resourcesOf(flavor)]).toEqual([
      ["VCPU", 2],
      ["MEMORY_MB", 512],
      ["DISK_GB", 4],
    ]);
  });

  it("count dedicated CPUs apart", () => {
    const flavor = Flavor.fromPartial({ vcpus: 2, extraSpecs: { "hw:cpu_policy": "dedicated" } });
    expect([...resourcesOf(flavor)]).toEqual([["PCPU", 2]]);
  });

  it.each<[string, Record<string, string>, Record<string, number>]>([
    ["a mixed guest", { "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "1-3" }, { VCPU: 1, PCPU: 3 }],
    [
      "emulator threads of their own",
      { "hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate" },
      { PCPU: 5 },
    ],
    [
      "emulator threads on shared CPUs",
      { "hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "share" },
      { PCPU: 4 },
    ],
    ["huge pages of a size", { "hw:mem_page_size": "2MB" }, { VCPU: 4, CUSTOM_HUGEPAGES_2MB: 1024 }],
    [
      "huge pages in two cells",
      { "hw:mem_page_size": "1GB", "hw:numa_nodes": "2" },
      { VCPU: 4, CUSTOM_HUGEPAGES_1GB: 2 },
    ],
    ["huge pages of whatever size there is", { "hw:mem_page_size": "large" }, { VCPU: 4 }],
    [
      "devices",
      { "pci_passthrough:alias": "gpu:2,nic-a:1" },
      { VCPU: 4, CUSTOM_PCI_GPU: 2, CUSTOM_PCI_NIC_A: 1 },
    ],
    [
      "classes of the flavor's own",
      { "resources:VCPU": "0", "resources:CUSTOM_LICENSE": "1", "resources:MEMORY_MB": "100" },
      { MEMORY_MB: 100, CUSTOM_LICENSE: 1 },
    ],
    ["words that contradict each other", { "hw:cpu_dedicated_mask": "0" }, { VCPU: 4 }],
  ])("book %s", (_what, extraSpecs, needed) => {
    const flavor = Flavor.fromPartial({ vcpus: 4, ramMib: 2048, extraSpecs });
    expect(Object.fromEntries(resourcesOf(flavor))).toEqual({ MEMORY_MB: 2048, ...needed });
  });

  it.each([
    ["resources:VCPU", "many"],
    ["resources:vcpu", "1"],
    ["resources1:VCPU", "1"],
  ])("are refused as %s=%s", (key, value) => {
    const flavor = Flavor.fromPartial({ vcpus: 1, extraSpecs: { [key]: value } });
    expect(() => resourcesOf(flavor)).toThrow(key);
  });
});

describe("a claim", () => {
  it("is refused with have and need when one unit is missing", async () => {
    await claimForServer(store.queries, "one", "h1", vcpus(4));
    await expect(claimForServer(store.queries, "two", "h1", vcpus(3))).rejects.toMatchObject({
      code: "no-valid-host",
      detail: { have: "2 vCPUs free (4 of 6 booked)", need: "3 vCPUs" },
    });
  });

  it("of a class that the host does not report is refused", async () => {
    await expect(claimForServer(store.queries, "one", "h1", new Map([["PCPU", 1]]))).rejects.toThrow(
      /not enough CPU/,
    );
  });
});

describe("a move", () => {
  const move = { serverId: "web", migrationId: "m", target: "h2", needed: vcpus(2) };
  const booked = async () =>
    (await listAllocations(store.queries)).map(
      ({ consumer, host, amount }) => `${consumer} ${host} ${amount}`,
    );

  beforeEach(() => claimForServer(store.queries, "web", "h1", vcpus(2)));

  it("books source and target until it is decided", async () => {
    await beginMove(store.queries, move);
    expect(await booked()).toEqual(["m h1 2", "web h2 2"]);
    await finishMove(store.queries, "m");
    expect(await booked()).toEqual(["web h2 2"]);
  });

  it("changes its target without touching what the source holds", async () => {
    await beginMove(store.queries, move);
    await beginMove(store.queries, { ...move, target: "h1" });
    expect(await booked()).toEqual(["m h1 2", "web h1 2"]);
  });

  it("is taken back, however often, also when it never began", async () => {
    await undoMove(store.queries, "web", "m");
    await beginMove(store.queries, move);
    await undoMove(store.queries, "web", "m");
    await undoMove(store.queries, "web", "m");
    expect(await booked()).toEqual(["web h1 2"]);
  });
});

type Command = {
  readonly kind: "claim" | "move" | "undo" | "finish";
  readonly server: number;
  readonly host: number;
  readonly amount: number;
};
const command: Arbitrary<Command> = record({
  kind: constantFrom("claim", "move", "undo", "finish"),
  server: nat(3),
  host: nat(1),
  amount: integer({ min: 1, max: 4 }),
});

async function carryOut({ kind, server, host, amount }: Command): Promise<void> {
  const [serverId, migrationId, target] = [`s${server}`, `m${server}`, HOSTS[host] ?? "h1"];
  await store.transaction(async queries => {
    if (kind === "claim") await claimForServer(queries, serverId, target, vcpus(amount));
    if (kind === "move") await beginMove(queries, { serverId, migrationId, target, needed: vcpus(amount) });
    if (kind === "undo") await undoMove(queries, serverId, migrationId);
    if (kind === "finish") await finishMove(queries, migrationId);
  });
}

it("whatever is claimed and moved at the same time, no host is ever oversold", async () => {
  await assert(
    asyncProperty(array(command, { maxLength: 12 }), async commands => {
      await store.queries.deleteFrom("allocation").execute();
      await Promise.allSettled(commands.map(carryOut));
      for (const host of HOSTS) {
        const [inventory] = (await bookedInventories(store.queries, [host])).get(host) ?? [];
        expect(inventory && inventory.used <= capacityOf(inventory)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});
