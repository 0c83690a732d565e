/** A request that comes twice, as after a lost answer: carried out once, answered alike. */

import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type ConfirmServerRequest,
  CreateServerRequest,
  DeleteServerRequest,
  MigrateServerRequest,
  MigrationServiceService,
  ResizeServerRequest,
  ServerServiceService,
  StopServerRequest,
} from "../../../proto/gen/ferry/v1/controller.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import type { Method } from "../../../proto/rpc-client.js";
import { LARGE, WEB } from "../../simulation/datacenter.js";
import type { NovaWorld } from "../nova/nova-world.js";
import { withNovaWorld } from "../nova/with-nova-world.js";

let nova: NovaWorld;
let requestId: string;
withNovaWorld(made => {
  nova = made;
});
beforeEach(() => {
  requestId = randomUUID();
});

/** By ada, an administrator, at one controller or another. */
function ask<Request, Response>(
  method: Method<Request, Response, false>,
  request: Request,
  { name = "ada", at = nova } = {},
): Promise<Response> {
  const identity = { domain: "test", kind: "user", name, role: "admin" } as const;
  return at.calls.as({ identity, signal: new AbortController().signal })(method, request);
}

const migrate = (changes: Partial<MigrateServerRequest> = {}, at = nova) =>
  ask(
    ServerServiceService.migrateServer,
    MigrateServerRequest.fromPartial({ server: WEB, requestId, ...changes }),
    { at },
  );
const confirm = (changes: Partial<ConfirmServerRequest> = {}) =>
  ask(ServerServiceService.confirmServer, { server: WEB, migration: "", requestId, ...changes });
const migrations = () => nova.center.controller.migrations.list();

describe("a migration", () => {
  it("that is asked for again while it goes on is the same", async () => {
    const first = await migrate();
    const again = await migrate();
    expect(again.migration?.id).toBe(first.migration?.id);
    expect(await migrations()).toHaveLength(1);
    await nova.center.rest();
  });

  it("that is asked for again when it has ended does not move the server once more", async () => {
    const { migration } = await migrate();
    await nova.center.rest();
    await confirm({ requestId: undefined });
    const ended = await nova.center.ended();
    expect(await migrate()).toMatchObject({ migration: { id: migration?.id, status: "confirmed" } });
    expect(await migrations()).toHaveLength(1);
    expect((await nova.center.server()).host).toBe(ended.targetHost);
  });

  it("without an id is another one each time", async () => {
    await migrate({ requestId: undefined });
    await nova.center.rest();
    await confirm({ requestId: undefined });
    await nova.center.ended();
    await migrate({ requestId: undefined });
    await nova.center.rest();
    expect(await migrations()).toHaveLength(2);
  });

  it("of which several requests race is begun once", async () => {
    const ids = (await Promise.all([1, 2, 3, 4].map(() => migrate()))).map(({ migration }) => migration?.id);
    expect(new Set(ids).size).toBe(1);
    expect(await migrations()).toHaveLength(1);
    await nova.center.rest();
  });

  it("is known again after a restart", async () => {
    const { migration } = await migrate();
    await nova.center.restart();
    const restarted = await nova.another();
    expect((await migrate({}, restarted)).migration?.id).toBe(migration?.id);
    await nova.center.rest();
  });

  it("is known again while its source is silent and nothing could be begun", async () => {
    const { migration } = await migrate();
    await nova.center.rest();
    await confirm({ requestId: undefined });
    await nova.center.ended();
    nova.center.clock.advance(60_000);
    await expect(migrate({ requestId: undefined })).rejects.toMatchObject({ code: "unreachable" });
    expect((await migrate()).migration?.id).toBe(migration?.id);
  });

  it("is not another request's answer", async () => {
    await migrate({ host: "h2" });
    await expect(migrate({ host: "h3" })).rejects.toMatchObject({
      code: "invalid-argument",
      message: `another request was made under the id req-${requestId} before`,
    });
    await expect(confirm()).rejects.toThrow("another request was made");
    const asBob = ask(
      ServerServiceService.migrateServer,
      MigrateServerRequest.fromPartial({ server: WEB, host: "h2", requestId }),
      { name: "bob" },
    );
    await expect(asBob).rejects.toThrow("another request was made");
    await nova.center.rest();
  });

  it("that was refused is judged anew", async () => {
    const { fleet } = nova.center.controller;
    for (const host of ["h2", "h3"]) await fleet.setStatus(host, false, "repair");
    await expect(migrate()).rejects.toMatchObject({ code: "no-valid-host" });
    await fleet.setStatus("h3", true);
    expect((await migrate()).migration).toBeDefined();
    await nova.center.rest();
  });

  it("can be found by its id among the server's events", async () => {
    await migrate();
    const { actions } = await ask(ServerServiceService.listServerActions, {
      server: WEB,
      requestId: `req-${requestId}`,
    });
    expect(actions).toMatchObject([{ action: "migrate", requestedBy: "user/ada" }]);
    await nova.center.rest();
  });

  it.each(["7", `req-${randomUUID()}`, "x".repeat(10_000)])("refuses %.20s as an id", async id => {
    await expect(migrate({ requestId: id })).rejects.toMatchObject({ code: "invalid-argument" });
    expect(await migrations()).toHaveLength(0);
  });
});

describe("whatever else changes a server", () => {
  it("a resize is not begun again after its revert", async () => {
    const resize = () =>
      ask(
        ServerServiceService.resizeServer,
        ResizeServerRequest.fromPartial({ server: WEB, flavor: LARGE.name, requestId }),
      );
    const { migration } = await resize();
    await nova.center.rest();
    await ask(ServerServiceService.revertServer, { server: WEB, migration: "", discardWrites: true });
    await nova.center.ended();
    expect(await resize()).toMatchObject({ migration: { id: migration?.id, status: "reverted" } });
    expect(await migrations()).toHaveLength(1);
  });

  it("a confirm is answered alike before and after it is carried out", async () => {
    await migrate({ requestId: undefined });
    const { id } = await nova.center.rest();
    expect(await confirm()).toMatchObject({ migration: { id, status: "confirming" } });
    expect(await confirm()).toMatchObject({ migration: { id } });
    await nova.center.ended();
    expect(await confirm()).toMatchObject({ migration: { id, status: "confirmed" } });
  });

  it("a cancel is answered alike when everything has been taken back", async () => {
    nova.center.agents.troubles.push({ verb: "receive_disks", kind: "hang" });
    const { migration } = await migrate({ requestId: undefined });
    const id = migration?.id ?? "";
    const cancel = () => ask(MigrationServiceService.cancelMigration, { id, requestId });
    await nova.center.passTime(() => nova.center.agents.calls.some(call => call.includes("receive_disks")));
    await cancel();
    await nova.center.ended();
    expect(await cancel()).toMatchObject({ migration: { id, status: "error" } });
    await expect(ask(MigrationServiceService.cancelMigration, { id })).rejects.toMatchObject({
      code: "conflict",
    });
  });

  it("a stop that comes late does not stop a server that was started since", async () => {
    const stop = () =>
      ask(ServerServiceService.stopServer, StopServerRequest.fromPartial({ server: WEB, requestId }));
    expect(await stop()).toMatchObject({ server: { status: "SHUTOFF" } });
    await ask(ServerServiceService.startServer, { server: WEB, noWait: false });
    expect(await stop()).toMatchObject({ server: { status: "ACTIVE" } });
  });

  it("a new server is made once, and its twin waits for it", async () => {
    await nova.center.addFlavor(
      Flavor.fromPartial({ id: "s", name: "small", vcpus: 1, ramMib: 512, rootGib: 1 }),
    );
    const image = { imagePath: "/images/i.raw", imageFormat: "raw" };
    const request = CreateServerRequest.fromPartial({ name: "db", flavor: "small", ...image, requestId });
    const create = () => ask(ServerServiceService.createServer, request);
    let isOver = false;
    const both = Promise.all([create(), create()]).finally(() => {
      isOver = true;
    });
    await nova.center.passTime(() => isOver);
    const [first, twin] = await both;
    expect(first).toMatchObject({ server: { name: "db", status: "SHUTOFF", taskState: "" } });
    expect(twin).toEqual(first);
  });

  it("a server that its host refused to make is refused to the twin in the same words", async () => {
    await nova.center.addFlavor(
      Flavor.fromPartial({ id: "s", name: "small", vcpus: 1, ramMib: 512, rootGib: 1 }),
    );
    nova.center.agents.troubles.push({ verb: "create_domain", kind: "fail" });
    const image = { imagePath: "/images/i.raw", imageFormat: "raw" };
    const request = CreateServerRequest.fromPartial({ name: "db", flavor: "small", ...image, requestId });
    const refusal = await ask(ServerServiceService.createServer, request).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "refused" });
    const again = ask(ServerServiceService.createServer, request);
    await expect(again).rejects.toMatchObject({ message: (refusal as Error).message });
  });

  it("a delete is answered when the server is gone", async () => {
    const remove = () =>
      ask(ServerServiceService.deleteServer, DeleteServerRequest.fromPartial({ server: WEB, requestId }));
    await remove();
    expect(await remove()).toEqual({});
    await expect(
      ask(ServerServiceService.deleteServer, DeleteServerRequest.fromPartial({ server: WEB })),
    ).rejects.toMatchObject({ code: "not-found" });
  });
});
