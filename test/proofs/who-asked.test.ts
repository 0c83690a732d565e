/** Whoever changes the course of a migration is named: in what is asked of its server, in its story, in its record. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { latestRequestId } from "../../controller/store/actions.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

interface Asked {
  readonly action: string;
  readonly requestedBy: string;
}

const named = (actions: readonly Asked[]) =>
  actions.map(({ action, requestedBy }) => `${action} by ${requestedBy}`);

const asked = async () => {
  const { id } = await center.migration();
  return named((await center.controller.migrations.show(id)).actions);
};

/** As of `ferry server events`, newest first. */
const serverActions = async () => named(await center.controller.servers.actions(WEB));

async function copying(): Promise<string> {
  center.agents.troubles.push({ verb: "receive_disks", kind: "hang", times: 1 });
  const { id } = await center.migrate();
  await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
  return id;
}

it("who cancelled it, once although it was asked for twice", async () => {
  const { migrations } = center.controller;
  const id = await copying();
  await Promise.all([migrations.cancel(id, "user/bob"), migrations.cancel(id, "user/eve")]);
  expect(await center.ended()).toMatchObject({ fault: { message: "cancelled by user/bob" } });
  expect(await asked()).toEqual(["migrate by test", "cancelMigration by user/bob"]);
  expect((await serverActions()).slice(0, 2)).toEqual(["cancelMigration by user/bob", "migrate by test"]);
  expect(await center.events()).toContain("copy-disks: cancelled by user/bob; taking everything back");
});

it("who cancelled it, although the controller that heard it is gone", async () => {
  const id = await copying();
  await center.controller.migrations.close();
  await center.controller.migrations.cancel(id, "user/bob");
  await center.restart();
  expect(await center.ended()).toMatchObject({ fault: { message: "cancelled by user/bob" } });
});

it("that it was cancelled because its server was to be deleted", async () => {
  await copying();
  let isGone = false;
  const deleted = center.controller.servers.deleteServer(WEB, "user/bob").finally(() => {
    isGone = true;
  });
  await center.passTime(() => isGone);
  await deleted;
  expect(await asked()).toEqual(["migrate by test", "cancelMigration by delete"]);
  expect(await serverActions()).toContain("delete by user/bob");
});

it("who limited how fast it is copied; what comes then is still told of the request that it was asked for with", async () => {
  const { migrations } = center.controller;
  const id = await copying();
  await migrations.limit(id, 1024, "user/bob");
  expect(await asked()).toEqual(["migrate by test", "setMigration by user/bob"]);
  const [migrate, limited] = (await migrations.show(id)).actions;
  expect(limited?.message).toBe("limited to 1024 bytes per second");
  expect(await latestRequestId(center.store.queries, WEB, id)).toBe(migrate?.requestId);
  await migrations.cancel(id, "test");
  await center.ended();
});

it.each(["confirm", "revert"] as const)("who gave the verdict: %s", async verdict => {
  await center.migrate();
  await center.rest();
  const { migrations } = center.controller;
  if (verdict === "confirm") await migrations.confirm(WEB, "user/bob");
  else await migrations.revert(WEB, { discardWrites: true, requestedBy: "user/bob" });
  await center.ended();
  expect(await asked()).toEqual(["migrate by test", `${verdict}Resize by user/bob`]);
});

it("who had it recovered, and nobody who only asked for the plan", async () => {
  center.agents.troubles.push({ verb: "release_target", kind: "fail", times: 1 });
  const { id } = await center.migrate();
  expect(await center.rest()).toMatchObject({ status: "stuck" });
  const { migrations } = center.controller;
  await migrations.recover(id, { planOnly: true, requestedBy: "user/eve" });
  await migrations.recover(id, { planOnly: false, requestedBy: "user/bob" });
  await center.rest();
  expect(await asked()).toEqual(["migrate by test", "recoverMigration by user/bob"]);
});

it("who declared a host dead", async () => {
  await center.migrate();
  const { id } = await center.rest();
  await center.controller.migrations.recover(id, {
    planOnly: false,
    fencedHost: "h2",
    reason: "burnt",
    requestedBy: "user/bob",
  });
  expect(await asked()).toEqual(["migrate by test", "recoverMigration by user/bob"]);
});
