/** Around migrations: locks, declared states, what was asked of a server, and how a server ends while it moves. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Requester } from "../../controller/migration/requester.js";
import { Fault } from "../../proto/fault.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

let calls = 0;
const member = (): Requester => ({
  by: "user/ada",
  project: "",
  isAdmin: false,
  requestId: `req-${++calls}`,
});
const admin = (): Requester => ({ ...member(), by: "user/root", isAdmin: true });
const servers = () => center.controller.servers;
const migrations = () => center.controller.migrations;
const lock = (as: "owner" | "admin", reason = "") =>
  servers().lock(WEB, { as, reason, requestedBy: as === "admin" ? admin() : member() });

describe("a locked server", () => {
  const asked: Record<string, (requestedBy: Requester) => Promise<unknown>> = {
    stop: requestedBy => servers().stopServer(WEB, { requestedBy }),
    delete: requestedBy => servers().deleteServer(WEB, requestedBy),
    migrate: requestedBy => migrations().migrate({ server: WEB, host: "h2", requestedBy }),
    resize: requestedBy => migrations().resize({ server: WEB, flavor: "large", requestedBy }),
  };
  for (const [action, ask] of Object.entries(asked)) {
    it(`refuses its owner a ${action}, with the reason`, async () => {
      await lock("owner", "backup");
      await expect(ask(member())).rejects.toMatchObject({
        code: "conflict",
        message: `Instance ${WEB} is locked`,
        detail: { have: "a lock by its owner: backup" },
      });
      expect(await center.server()).toMatchObject({ taskState: "", status: "ACTIVE" });
    });
  }

  it("refuses confirm and revert alike, but not an administrator", async () => {
    await center.migrate();
    await center.rest();
    await lock("admin");
    await expect(migrations().confirm(WEB, member())).rejects.toThrow("is locked");
    const revert = migrations().revert(WEB, { discardWrites: true, requestedBy: member() });
    await expect(revert).rejects.toThrow("is locked");
    await migrations().confirm(WEB, admin());
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("keeps the lock that an administrator put there when its owner locks it too", async () => {
    await lock("admin", "audit");
    await lock("owner", "mine");
    expect(await center.server()).toMatchObject({ lockedBy: "admin", lockedReason: "audit" });
    await servers().unlock(WEB, admin());
    expect(await center.server()).toMatchObject({ lockedBy: "", lockedReason: "" });
  });
});

describe("a declared state", () => {
  it("changes words only: no agent hears of it", async () => {
    const before = center.agents.calls.length;
    expect(await servers().resetState(WEB, "error", admin())).toMatchObject({ status: "ERROR" });
    expect(await servers().resetState(WEB, "active", admin())).toMatchObject({ status: "ACTIVE" });
    expect(center.agents.calls.length).toBe(before);
  });

  it("orphans no migration: the verdict can still be given, and nothing else can begin", async () => {
    await center.migrate();
    await center.rest();
    await servers().resetState(WEB, "active", admin());
    await expect(center.migrate("h3")).rejects.toMatchObject({ code: "conflict" });
    await expect(servers().stopServer(WEB, { requestedBy: "ada" })).rejects.toMatchObject({
      code: "conflict",
    });
    await migrations().revert(WEB, { discardWrites: true, requestedBy: "ada" });
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    expect(center.disksOn("h1")).toEqual(center.originalDisks);
  });

  it("does not hide a migration that is at work", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang", times: 1 });
    await center.migrate();
    await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
    const declared = await servers().resetState(WEB, "active", admin());
    expect(declared).toMatchObject({ status: "RESIZE", taskState: "resize_migrating" });
    await expect(servers().resetState(WEB, "paused", admin())).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });
});

describe("in its verify window a server", () => {
  it("is neither stopped nor started, in Nova's words", async () => {
    await center.migrate();
    await center.rest();
    const words = `instance ${WEB} while it is in vm_state resized`;
    await expect(servers().stopServer(WEB, { requestedBy: "ada" })).rejects.toThrow(`Cannot 'stop' ${words}`);
    await expect(servers().startServer(WEB, "ada")).rejects.toThrow(`Cannot 'start' ${words}`);
    await expect(center.migrate("h3")).rejects.toThrow(`Cannot 'migrate' ${words}`);
  });

  it("test_source_host_down_during_confirm: waits for it, with nothing changed, and is confirmed once it is back", async () => {
    await center.migrate();
    await center.rest();
    center.agents.agent("h1").isReachable = false;
    center.clock.advance(60_000);
    await center.passTime(() => center.controller.fleet.stateOf("h2") === "up");
    await expect(migrations().confirm(WEB, "ada")).rejects.toThrow("Service is unavailable at this time");
    await expect(servers().deleteServer(WEB, "ada")).rejects.toThrow("Service is unavailable at this time");
    expect(await center.migration()).toMatchObject({ status: "finished" });
    expect(await center.server()).toMatchObject({ status: "VERIFY_RESIZE", taskState: "" });
    center.agents.agent("h1").isReachable = true;
    await center.elapse(5_000);
    await center.passTime(() => center.controller.fleet.stateOf("h1") === "up");
    await migrations().confirm(WEB, "ada");
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("is confirmed once: whoever comes second learns it in Nova's words", async () => {
    await center.migrate();
    await expect(migrations().confirm(WEB, "ada")).rejects.toThrow(
      `Cannot 'confirmResize' instance ${WEB} while it is in vm_state active`,
    );
    await center.rest();
    await migrations().confirm(WEB, "ada");
    await expect(migrations().confirm(WEB, "bob")).rejects.toThrow("Instance has not been resized.");
    await center.ended();
  });
});

describe("a deletion", () => {
  const isGone = async () => (await servers().list()).length === 0;
  const nothingIsLeft = async () => {
    expect(await center.allocations()).toEqual([]);
    for (const { host } of center.agents.agents.values())
      expect([host.name, host.files.size, host.domains.size]).toEqual([host.name, 0, 0]);
  };

  it("during a migration takes it back first, and leaves nothing on either host", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang", times: 1 });
    await center.migrate();
    await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
    await servers().deleteServer(WEB, "ada", { noWait: true });
    await center.passTime(isGone);
    expect(await center.migration()).toMatchObject({ status: "error" });
    await nothingIsLeft();
  });

  it("that a stopped controller had promised is carried out by the next one", async () => {
    await center.migrate();
    await center.rest();
    center.agents.troubles.push({ verb: "retire_source", kind: "hang", times: 1 });
    await servers().deleteServer(WEB, "ada", { noWait: true });
    await center.passTime(() => center.agents.calls.some(call => call.startsWith("h1 retire_source")));
    await servers().close();
    await migrations().close();
    await center.restart();
    await center.passTime(isGone);
    expect(await center.migration()).toMatchObject({ status: "confirmed" });
    await nothingIsLeft();
  });

  it("that is promised keeps everything else from beginning", async () => {
    center.agents.troubles.push({ verb: "retire_source", kind: "hang", times: 1 });
    await center.migrate();
    await center.rest();
    await servers().deleteServer(WEB, "ada", { noWait: true });
    const again = migrations().revert(WEB, { discardWrites: true, requestedBy: "bob" });
    await expect(again).rejects.toThrow("Instance has not been resized.");
    await servers().close();
  });
});

describe("actions", () => {
  const told = async () =>
    (await servers().actions(WEB)).map(({ action, message, events }) => ({
      action,
      message,
      events: events.map(({ event, host, result }) => `${event} ${host} ${result}`),
    }));

  it("tell a move and its verdict as Nova does, newest first", async () => {
    await center.migrate();
    await center.rest();
    await migrations().confirm(WEB, "ada");
    await center.ended();
    const [confirmed, moved] = await told();
    expect(moved).toEqual({
      action: "migrate",
      message: "",
      events: [
        "cold_migrate  Success",
        "compute_prep_resize h2 Success",
        "compute_resize_instance h1 Success",
        "compute_finish_resize h2 Success",
      ],
    });
    expect(confirmed).toEqual({
      action: "confirmResize",
      message: "",
      events: ["compute_confirm_resize h1 Success"],
    });
  });

  it("tell of each target that was asked: why it refused, and which one took the server", async () => {
    center.agents.troubles.push({
      verb: "prepare_target",
      host: "h2",
      kind: "fail",
      fault: new Fault("conflict", "the name is taken", { have: "another web", fix: "rename it" }),
    });
    await center.migrate("");
    const { id } = await center.rest();
    expect(await migrations().show(id)).toMatchObject({
      targetHost: "h3",
      fault: undefined,
      refusals: [
        { host: "h2", fault: { message: expect.stringMatching(/name is taken/), fix: "rename it" } },
      ],
    });
    const [moved] = await servers().actions(WEB);
    const preparations = moved?.events.filter(({ event }) => event === "compute_prep_resize") ?? [];
    expect(preparations.map(({ host, result, details }) => [host, result, details])).toEqual([
      ["h2", "Error", expect.stringMatching(/name is taken/)],
      ["h3", "Success", ""],
    ]);
    const times = preparations.flatMap(({ startedAtMs, finishedAtMs }) => [startedAtMs, finishedAtMs]);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(moved?.message).toBe("");
  });

  it("tell why a move failed, and a revert", async () => {
    center.agents.troubles.push({
      verb: "receive_disks",
      kind: "fail",
      fault: new Fault("failed", "cut"),
      times: 9,
    });
    await center.migrate();
    await center.ended();
    const [failed] = await told();
    expect(failed?.message).toMatch(/cut/);
    expect(failed?.events.at(-1)).toBe("compute_resize_instance h1 Error");
    center.agents.troubles.length = 0;
    await center.migrate();
    await center.rest();
    await migrations().revert(WEB, { discardWrites: true, requestedBy: "ada" });
    await center.ended();
    expect((await told())[0]).toMatchObject({
      action: "revertResize",
      events: ["compute_revert_resize h2 Success", "compute_finish_revert_resize h1 Success"],
    });
  });

  it("are found by the request id they were asked under, and outlive their server", async () => {
    const requestedBy = { ...admin(), requestId: "req-1d2c", project: "blue" };
    await servers().stopServer(WEB, { requestedBy });
    await servers().deleteServer(WEB, admin());
    const [deleted, stopped] = await servers().actions(WEB);
    expect(deleted).toMatchObject({ action: "delete", events: [{ result: "Success" }] });
    expect(stopped).toMatchObject({ requestId: "req-1d2c", requestedBy: "user/root", project: "blue" });
  });

  it("are not left by what was refused", async () => {
    const before = (await servers().actions(WEB)).length;
    await expect(servers().startServer(WEB, admin())).rejects.toMatchObject({ code: "conflict" });
    expect((await servers().actions(WEB)).length).toBe(before);
  });
});
