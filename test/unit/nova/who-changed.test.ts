/** Whoever changes what belongs to no server is on record with it, whichever way it was asked for. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { CHANGES, recordChanges } from "../../../controller/api/record-changes.js";
import { METHOD_RULES } from "../../../controller/policy/rules.js";
import { listChanges } from "../../../controller/store/change-log.js";
import {
  AdminServiceService,
  FlavorServiceService,
  HostServiceService,
} from "../../../proto/gen/ferry/v1/controller.js";
import { PlacementServiceService } from "../../../proto/gen/ferry/v1/placement.js";
import { implement } from "../../../proto/rpc-server.js";
import { NovaWorld } from "./nova-world.js";

const ADA = { kind: "user", name: "ada", domain: "ferry", role: "admin" } as const;
const caller = { identity: ADA, signal: new AbortController().signal };

let world: NovaWorld;
beforeEach(async () => {
  world = await NovaWorld.open();
});
afterEach(() => world.close());

async function changes() {
  const everything = { requestedBy: "", subject: "", limit: 100 };
  const { changes: all } = await world.calls.as(caller)(AdminServiceService.listChanges, everything);
  return all.map(({ requestedBy, method, subject, asked, endedAtMs, fault }) => {
    const result = fault?.code ?? (endedAtMs > 0 ? "done" : "not known");
    return `${requestedBy} ${method} ${subject || "-"} ${asked} ${result}`;
  });
}

it("with what was asked and what came of it", async () => {
  const ask = world.calls.as(caller);
  await ask(HostServiceService.setHostStatus, { name: "h2", enabled: false, reason: "fan" });
  await expect(ask(FlavorServiceService.deleteFlavor, { flavor: "none" })).rejects.toThrow(
    "could not be found",
  );
  expect(await changes()).toEqual([
    'user/ada DeleteFlavor none {"flavor":"none"} not-found',
    'user/ada SetHostStatus h2 {"name":"h2","enabled":false,"reason":"fan"} done',
  ]);
});

it("by REST, under the id of the request", async () => {
  const { headers } = await world.post("/os-aggregates", { aggregate: { name: "fast" } });
  expect(await changes()).toEqual(['user/admin CreateAggregate fast {"name":"fast"} done']);
  const everything = { requestedBy: "user/admin", subject: "fast", limit: 1 };
  expect(await listChanges(world.center.store.queries, everything)).toMatchObject([
    { requestId: headers["x-openstack-request-id"] },
  ]);
  expect(await listChanges(world.center.store.queries, { ...everything, subject: "slow" })).toEqual([]);
});

it("before it is done: one that a controller was killed over has no end", async () => {
  const kill = new Promise<never>(() => {});
  const hosts = implement(HostServiceService, {
    listHosts: () => kill,
    showHost: () => kill,
    setHostStatus: () => kill,
    forceHostDown: () => kill,
  });
  const { center } = world;
  const deps = { store: center.store, clock: center.clock, newId: () => "1" };
  const { forceHostDown } = recordChanges(hosts, deps).handlers;
  const path = HostServiceService.forceHostDown.path;
  forceHostDown?.({ name: "h3", forcedDown: true }, { ...caller, path });
  await expect.poll(changes).toEqual(['user/ada ForceHostDown h3 {"name":"h3","forcedDown":true} not known']);
});

it("and nobody who only looked", async () => {
  const ask = world.calls.as(caller);
  await ask(PlacementServiceService.auditPlacement, { heal: false });
  await ask(AdminServiceService.audit, { lookOnly: true });
  await ask(AdminServiceService.raiseEpochs, { planOnly: true, withoutHosts: [] });
  expect(await changes()).toEqual([]);
  await ask(PlacementServiceService.auditPlacement, { heal: true });
  expect(await changes()).toEqual(['user/ada AuditPlacement - {"heal":true} done']);
});

it("of whatever changes something, if it is not recorded with its server, or the agents'", () => {
  const rest = Object.keys(METHOD_RULES).filter(path => !CHANGES.has(path) && !isQuestion(path));
  expect(rest.map(path => path.replace("/ferry.v1.", ""))).toEqual([
    "ServerService/CreateServer",
    "ServerService/AdoptServer",
    "ServerService/StartServer",
    "ServerService/StopServer",
    "ServerService/DeleteServer",
    "ServerService/MigrateServer",
    "ServerService/ResizeServer",
    "ServerService/ConfirmServer",
    "ServerService/RevertServer",
    "ServerService/LockServer",
    "ServerService/UnlockServer",
    "ServerService/ResetServerState",
    "MigrationService/SetMigration",
    "MigrationService/CancelMigration",
    "MigrationService/RecoverMigration",
    "FleetService/Heartbeat",
  ]);
  const methods = [...CHANGES.keys()].filter(path => !(path in METHOD_RULES));
  expect(methods).toEqual([]);
});

const isQuestion = (path: string): boolean => /\/(List|Show|Watch|Check|Verify)\w*$/.test(path);
