/** A resize is the same story with another flavor: what is booked, what the server is, and what is asked of whom. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deleteFlavor } from "../../controller/store/flavors.js";
import { Datacenter, LARGE, WEB } from "../simulation/datacenter.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(async () => {
  expect(center.breaches).toEqual([]);
  expect(center.bugs).toEqual([]);
  await center.close();
});

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
