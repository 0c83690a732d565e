/** The audit: what is not as the store says is told once, with the host and what to do; what is in motion is not drift. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { Audit } from "../../controller/migration/audit.js";
import { ReturnedHosts } from "../../controller/migration/returned-host.js";
import { DriftWatch } from "../../controller/migration/watch-drift.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

const look = async () => {
  await center.elapse(5_000);
  return new Audit(center.controller.deps).look(false);
};

it("finds nothing where everything is as it should be, also in every phase of a migration", async () => {
  expect(await look()).toEqual([]);
  await center.migrate();
  expect(await look()).toEqual([]);
  await center.rest();
  expect(await look()).toEqual([]);
  await center.controller.migrations.confirm(WEB, "test");
  await center.ended();
  expect(await look()).toEqual([]);
});

it("finds a server whose host does not have it any more", async () => {
  center.agents.agent("h1").journal.guest(WEB).role = "none";
  expect(await look()).toMatchObject([{ kind: "not-active", server: "web", host: "h1" }]);
});

it("finds a second one that runs, and says that first", async () => {
  const { host, journal } = center.agents.agent("h3");
  host.domains.set(WEB, { incarnation: "x", vcpus: 1, state: "RUNNING" });
  Object.assign(journal.guest(WEB), { role: "active", incarnation: "x", epoch: 1 });
  const [found] = await look();
  expect(found).toMatchObject({
    kind: "twice",
    host: "h3",
    fix: expect.stringContaining("virsh destroy web"),
  });
});

it("does not call a silent host's servers lost", async () => {
  center.agents.agent("h1").isReachable = false;
  await center.elapse(20_000);
  expect(await look()).toEqual([]);
});

it("is told about once, for as long as it stays", async () => {
  const told: string[] = [];
  const watch = new DriftWatch({
    clock: center.clock,
    audit: new Audit(center.controller.deps),
    returned: new ReturnedHosts(center.controller.deps, center.controller.migrations),
    onDrift: ({ kind }) => told.push(kind),
    onTrouble: message => told.push(message),
  });
  center.agents.agent("h1").journal.guest(WEB).role = "none";
  await center.elapse(5_000);
  await watch.look(true);
  await watch.look(true);
  expect(watch.drifts).toHaveLength(1);
  center.agents.agent("h1").journal.guest(WEB).role = "active";
  await watch.look(true);
  expect([told, watch.drifts]).toEqual([["not-active"], []]);
});
