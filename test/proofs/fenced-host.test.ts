/**
 * SAFETY R21: a named person declares a host dead. What it would have to say is replaced by that word, the host goes into
 * quarantine, and when it comes back what it missed is made up for before it may start anything.
 */

import { afterEach, beforeEach, expect, it } from "vitest";
import { ReturnedHosts } from "../../controller/migration/returned-host.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
// That the server could run twice is no breach here: in this world the host that a person calls dead goes on.
afterEach(async () => {
  expect(center.bugs).toEqual([]);
  await center.close();
});

const REASON = "its mainboard is on my desk";

async function declareDead(fencedHost: string, planOnly = false) {
  const { id } = await center.migration();
  const word = { fencedHost, reason: REASON, requestedBy: "user/ann" };
  return center.controller.migrations.recover(id, { ...word, planOnly });
}

const loses = (host: string) => {
  center.agents.agent(host).isReachable = false;
};

async function returns(host: string): Promise<string[]> {
  center.agents.agent(host).isReachable = true;
  await center.elapse(5_000);
  return new ReturnedHosts(center.controller.deps, center.controller.migrations).reconcile(host);
}

const enable = (host: string) =>
  new ReturnedHosts(center.controller.deps, center.controller.migrations).enable(host);

async function expectAlone(host: string): Promise<void> {
  expect(await center.server()).toMatchObject({ host, status: "ACTIVE", taskState: "", migrationId: "" });
  expect(center.agents.agent(host).host.domains.get(WEB)?.state).toBe("RUNNING");
  expect(center.disksOn(host)).toEqual(center.originalDisks);
  expect(await center.allocations()).toHaveLength(3);
  for (const [name, agent] of center.agents.agents) {
    if (name !== host) expect([name, agent.host.files.size, agent.host.domains.size]).toEqual([name, 0, 0]);
  }
}

it("a target that is lost after its CPUs ran is gone back from without it, and is emptied when it returns", async () => {
  await center.migrate();
  await center.rest();
  loses("h2");
  expect((await declareDead("h2", true)).plan.at(-1)).toBe(
    "then go back and lose what it wrote there: ferry server revert web",
  );
  await declareDead("h2");
  expect(await center.events()).toContain(`h2 was declared dead by user/ann: ${REASON}`);
  expect((await center.controller.fleet.show("h2")).hookProblem).toContain("user/ann declared h2 dead");
  await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "user/ann" });
  expect(await center.ended()).toMatchObject({ status: "reverted" });
  expect(await center.server()).toMatchObject({ host: "h1", status: "ACTIVE" });

  await expect(center.migrate("h2")).rejects.toThrow(/h2 may take no server: quarantined/);
  expect(await returns("h2")).toEqual([]);
  await expectAlone("h1");
  await enable("h2");
  await center.elapse(1_000);
  await center.migrate("h2");
  expect(await center.rest()).toMatchObject({ status: "finished" });
});

it("a target that is lost before its CPUs could run is taken back without it", async () => {
  center.agents.troubles.push({ verb: "define_target", kind: "hang" });
  await center.migrate();
  await center.passTime(() => center.agents.calls.includes("h2 define_target e2"));
  loses("h2");
  await declareDead("h2");
  expect(await center.ended()).toMatchObject({ status: "error" });
  expect(await center.server()).toMatchObject({ host: "h1", status: "ACTIVE" });
  center.agents.troubles.length = 0;
  expect(await returns("h2")).toEqual([]);
  await expectAlone("h1");
});

it("a source that is lost in the verify window is confirmed without it, and is emptied when it returns", async () => {
  await center.migrate();
  await center.rest();
  loses("h1");
  await center.elapse(20_000);
  await expect(center.controller.migrations.confirm(WEB, "user/ann")).rejects.toMatchObject({
    detail: { have: "the agent of h1 is down" },
  });
  await declareDead("h1");
  await center.controller.migrations.confirm(WEB, "user/ann");
  expect(await center.ended()).toMatchObject({ status: "confirmed" });
  expect(await returns("h1")).toEqual([]);
  await expectAlone("h2");
});

it("a word that helps nobody is refused with what would", async () => {
  center.agents.troubles.push({ verb: "receive_disks", kind: "hang" });
  await center.migrate();
  await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
  await expect(declareDead("h1")).rejects.toThrow(/has not arrived on h2 yet, and h1 holds its disks/);
  await expect(declareDead("h3")).rejects.toThrow(/neither its source nor its target/);
  const { id } = await center.migration();
  await expect(
    center.controller.migrations.recover(id, { fencedHost: "h2", requestedBy: "a", planOnly: false }),
  ).rejects.toThrow(/why is h2 known to be dead/);
  expect((await center.controller.fleet.show("h1")).hookProblem).toBe("");
});

it("a host that was restored has its former copy of a server that moved on disowned, and is then enabled", async () => {
  await center.migrate();
  await center.rest();
  await center.controller.migrations.confirm(WEB, "test");
  await center.ended();
  // The disk of h1 as it was before the migration.
  const { host, journal } = center.agents.agent("h1");
  const incarnation = `${WEB}:0`;
  host.domains.set(WEB, { incarnation, vcpus: 1, state: "SHUTDOWN" });
  host.files.set(`${incarnation}/vda/0`, { digest: "old", path: "/images/vda.qcow2", aside: false });
  host.denied.delete(WEB);
  journal.tombstones.clear();
  Object.assign(journal.guest(WEB), { role: "active", incarnation, epoch: 1 });
  expect(await returns("h1")).toEqual([]);
  expect(host.isRunnable(WEB)).toBe(false);
  expect(host.files.size).toBe(1);
  expect(journal.guest(WEB)).toMatchObject({ role: "retired", epoch: 2 });
});
