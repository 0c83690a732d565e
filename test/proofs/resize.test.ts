/** A resize is the same story with another flavor: what is booked, what the server is, and what is asked of whom. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { insertAllocations } from "../../controller/store/allocations.js";
import { deleteFlavor } from "../../controller/store/flavors.js";
import { Datacenter, LARGE, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

const SMALL_ON = (host: string, kind = "server") => [
  `${kind} on ${host}: DISK_GB 1`,
  `${kind} on ${host}: MEMORY_MB 512`,
  `${kind} on ${host}: VCPU 1`,
];
const LARGE_ON = (host: string) => [
  `server on ${host}: DISK_GB 2`,
  `server on ${host}: MEMORY_MB 1024`,
  `server on ${host}: VCPU 2`,
];
const decide = { discardWrites: true, requestedBy: "test" };

describe("a resize", () => {
  it("holds the old flavor on the source and the new one on the target until it is decided", async () => {
    await center.resize();
    const migration = await center.rest();
    expect(migration).toMatchObject({ type: "resize", status: "finished", targetHost: "h2" });
    expect([migration.oldFlavor?.vcpus, migration.newFlavor?.name]).toEqual([1, LARGE.name]);
    expect(await center.allocations()).toEqual([...SMALL_ON("h1", "migration"), ...LARGE_ON("h2")]);
    expect(await center.server()).toMatchObject({ status: "VERIFY_RESIZE", flavor: { name: LARGE.name } });
    expect(center.agents.agent("h2").host.domains.get(WEB)).toMatchObject({ state: "RUNNING", vcpus: 2 });
  });

  it("that is confirmed leaves nothing of the old size", async () => {
    await center.resize();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "test");
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
    expect(await center.allocations()).toEqual(LARGE_ON("h2"));
    expect(await center.server()).toMatchObject({ host: "h2", flavor: { name: LARGE.name } });
  });

  it("that is reverted leaves nothing of the new size, also when no flavor is left", async () => {
    const before = await center.server();
    await center.resize();
    await center.rest();
    await deleteFlavor(center.store.queries, LARGE.id);
    await center.controller.migrations.revert(WEB, decide);
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    expect(await center.allocations()).toEqual(SMALL_ON("h1"));
    expect((await center.server()).flavor).toEqual(before.flavor);
    expect(center.agents.agent("h1").host.domains.get(WEB)).toMatchObject({ state: "RUNNING", vcpus: 1 });
  });

  it.each(["receive_disks", "prepare_disks", "define_target", "create_target"])(
    "that fails in %s is the old size again",
    async verb => {
      center.agents.troubles.push({ verb, kind: "fail" });
      const before = await center.server();
      await center.resize();
      expect(await center.ended()).toMatchObject({ status: "error" });
      expect(await center.allocations()).toEqual(SMALL_ON("h1"));
      expect((await center.server()).flavor).toEqual(before.flavor);
    },
  );

  it("that no host has room for is refused at once, in the words of each host", async () => {
    const flavor = { ...LARGE, id: "huge", name: "m1.huge", vcpus: 99 };
    await center.addFlavor(flavor);
    const refused = center.controller.migrations.resize({ server: WEB, flavor: "huge", requestedBy: "test" });
    await expect(refused).rejects.toThrow(/No valid host was found\. h1: the server is on host h1 now.*h2: /);
    expect(await center.server()).toMatchObject({ status: "ACTIVE", migrationId: "" });
  });

  it("says as what the server cannot be had while it is moved", async () => {
    await center.migrate();
    await expect(center.resize()).rejects.toThrow(
      "Cannot 'resize' instance web while it is in task_state resize_prep",
    );
    await center.rest();
  });

  it("to a flavor that nobody knows is not found", async () => {
    const refused = center.controller.migrations.resize({ server: WEB, flavor: "none", requestedBy: "test" });
    await expect(refused).rejects.toThrow("Flavor none could not be found.");
  });
});

describe("a resize that may stay on its host", () => {
  const fill = (host: string, memoryMib: number) =>
    insertAllocations(
      center.store.queries,
      Object.entries({ MEMORY_MB: memoryMib, VCPU: 1, DISK_GB: 10 }).map(([resourceClass, amount]) => ({
        consumer: `other-on-${host}`,
        consumerKind: "server" as const,
        host,
        resourceClass,
        amount,
      })),
    );
  const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "" };
  const reopen = async (allowResizeToSameHost: boolean) => {
    await center.close();
    center = await Datacenter.open({ settings: { allowResizeToSameHost } });
  };

  it("is booked twice on its host until it is decided", async () => {
    await reopen(true);
    for (const host of ["h2", "h3"]) await fill(host, 4000);
    await center.resize();
    expect(await center.rest()).toMatchObject({ status: "finished", sourceHost: "h1", targetHost: "h1" });
    const own = (await center.allocations()).filter(line => line.includes("on h1"));
    expect(own).toEqual([...SMALL_ON("h1", "migration"), ...LARGE_ON("h1")]);
  });

  it("needs room for both sizes there", async () => {
    await reopen(true);
    // Without the source's booking there would be room on h1.
    await fill("h1", 3000);
    for (const host of ["h2", "h3"]) await fill(host, 3500);
    await expect(center.resize()).rejects.toThrow(
      /No valid host was found\. h1: host h1 has not enough memory/,
    );
  });

  it("goes on to another host when its own refuses, and the source is still the source there", async () => {
    await reopen(true);
    for (const host of ["h2", "h3"]) await fill(host, 2500);
    center.agents.agent("h1").refusals = [refusal];
    await center.resize();
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h2" });
    expect(await center.events()).toContain("h1 refused: no bridge br7");
    await center.controller.migrations.confirm(WEB, "test");
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
    expect((await center.allocations()).filter(line => line.includes("on h1"))).toEqual([]);
    expect(center.agents.agent("h1").host.files.size).toBe(0);
  });

  it("stays on its host when every other one refuses", async () => {
    await reopen(true);
    for (const host of ["h2", "h3"]) center.agents.agent(host).refusals = [refusal];
    await center.resize();
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h1" });
  });

  it("does not stay unless the operator allows it, and a migration never does", async () => {
    for (const host of ["h2", "h3"]) await center.controller.fleet.setStatus(host, false, "");
    await expect(center.resize()).rejects.toThrow(/h1: the server is on host h1 now/);
    await reopen(true);
    await expect(center.migrate("h1")).rejects.toThrow("Cannot migrate to the host where the server exists.");
  });
});

describe("a forced migration", () => {
  const migrate = (host: string, force = true) =>
    center.controller.migrations.migrate({ server: WEB, host, force, requestedBy: "test" });

  it("takes a host that is disabled", async () => {
    await center.controller.fleet.setStatus("h2", false, "RAM fault");
    await expect(migrate("h2", false)).rejects.toThrow("host h2 is disabled: RAM fault");
    await migrate("h2");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h2" });
  });

  it("is refused by what the target itself refuses", async () => {
    const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "h2" };
    center.agents.agent("h2").refusals = [refusal];
    await migrate("h2");
    expect(await center.ended()).toMatchObject({ status: "error", fault: { message: "no bridge br7" } });
    expect(await center.server()).toMatchObject({ host: "h1", status: "ACTIVE" });
  });

  it.each([
    ["", "Can't force to a non-provided destination"],
    ["h1", "Cannot migrate to the host where the server exists."],
    ["h9", "Compute host h9 could not be found."],
  ])("to %j is refused", async (host, message) => {
    await expect(migrate(host)).rejects.toThrow(message);
  });
});
