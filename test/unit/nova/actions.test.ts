/** Cold migration and resize over REST: every answer that Nova gives to the same request (nova.md's error table). */

import { beforeEach, describe, expect, it } from "vitest";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import type { NovaWorld } from "./nova-world.js";
import { withNovaWorld } from "./with-nova-world.js";

let nova: NovaWorld;
withNovaWorld(made => {
  nova = made;
});

const V56 = { version: "2.56" };
const bad = (message: string) => ({ status: 400, body: { badRequest: { code: 400, message } } });
const conflict = (message: string) => ({ status: 409, body: { conflictingRequest: { code: 409, message } } });
const notFound = (message: string) => ({ status: 404, body: { itemNotFound: { code: 404, message } } });
const forbidden = (rule: string) => ({
  status: 403,
  body: { forbidden: { code: 403, message: `Policy doesn't allow ${rule} to be performed.` } },
});
const server = async (ask = {}) => (await nova.get("/servers/web", ask)).body.server;
const inVerify = async () => {
  await nova.act({ migrate: { host: "h2" } }, V56);
  await nova.center.rest();
};

describe("migrate", () => {
  it.each([
    ["null at 2.1", { migrate: null }, {}],
    ["{} at 2.1", { migrate: {} }, {}],
    ["a host that 2.1 does not know", { migrate: { host: "nowhere", junk: 1 } }, {}],
    ["null at 2.56", { migrate: null }, V56],
    ["no host at 2.56", { migrate: { host: null } }, V56],
    ["a host at 2.56", { migrate: { host: "h3" } }, V56],
    ["force as a word", { migrate: { host: "h3", force: "True" } }, V56],
    ["force null", { migrate: { force: null } }, V56],
  ])("accepts %s, and the status is RESIZE before the answer", async (_what, body, ask) => {
    const release = nova.hold("prepareSource");
    const answer = await nova.act(body, ask);
    expect(answer).toMatchObject({ status: 202, body: undefined });
    expect(await server()).toMatchObject({ status: "RESIZE", "OS-EXT-STS:task_state": "resize_prep" });
    release();
    await nova.center.rest();
    expect(await server()).toMatchObject({ status: "VERIFY_RESIZE" });
  });

  it.each([
    ["its own host", { host: "h1" }, "Cannot migrate to the host where the server exists."],
    ["an unknown host", { host: "h9" }, "Compute host h9 could not be found."],
    ["force without a host", { force: true }, "Can't force to a non-provided destination"],
    ["an empty host", { host: "" }, "Invalid input for field/attribute host. Value: . '' is too short"],
    [
      "a host that is no text",
      { host: 5 },
      "Invalid input for field/attribute host. Value: 5. 5 is not of type 'string', 'null'",
    ],
    [
      "a host with a path in it",
      { host: "../h2" },
      "Invalid input for field/attribute host. Value: ../h2. '../h2' does not match '^[a-zA-Z0-9-._]*$'",
    ],
    [
      "what it does not know",
      { host: "h2", when: "now" },
      "Invalid input for field/attribute migrate. Value: {'host': 'h2', 'when': 'now'}. Additional properties are not allowed ('when' was unexpected)",
    ],
    [
      "force that is neither",
      { host: "h2", force: "perhaps" },
      /^Invalid input for field\/attribute force. Value: perhaps. 'perhaps' is not one of \[True, 'True'/,
    ],
  ])("refuses %s", async (_what, migrate, message) => {
    const answer = await nova.act({ migrate }, V56);
    expect(answer.status).toBe(400);
    if (message instanceof RegExp) expect(answer.body.badRequest.message).toMatch(message);
    else expect(answer).toMatchObject(bad(message));
    expect(await server()).toMatchObject({ status: "ACTIVE" });
  });

  it("refuses when no host will do, and says why", async () => {
    for (const name of ["h2", "h3"]) await nova.center.controller.fleet.setStatus(name, false, "repair");
    const answer = await nova.act({ migrate: null });
    expect(answer.status).toBe(400);
    expect(answer.body.badRequest.message).toMatch(
      /^No valid host was found. .*h2: host h2 is disabled: repair/,
    );
  });

  it("refuses while the source does not answer", async () => {
    nova.center.agents.agent("h1").isReachable = false;
    nova.center.clock.advance(60_000);
    await nova.center.passTime(() => nova.center.controller.fleet.stateOf("h2") === "up");
    expect(await nova.act({ migrate: null })).toMatchObject(conflict("Service is unavailable at this time."));
  });

  it("is for managers, and naming the host for administrators", async () => {
    await nova.center.controller.deps.store.queries.updateTable("server").set({ project: "blue" }).execute();
    const asAna = await nova.act({ migrate: null }, { as: "ana" });
    expect(asAna).toMatchObject(forbidden("os_compute_api:os-migrate-server:migrate"));
    const robot = { as: null, headers: { "x-auth-token": "robot.5ecret" } } as const;
    const named = await nova.act({ migrate: { host: "h2" } }, { ...V56, ...robot });
    expect(named).toMatchObject(forbidden("os_compute_api:os-migrate-server:migrate:host"));
    expect(await nova.act({ migrate: null }, robot)).toMatchObject({ status: 202 });
    await nova.center.rest();
  });
});

describe("resize", () => {
  const small = { id: "small", name: "m1.tiny", vcpus: 1, ramMib: 256, rootGib: 0 };

  it("goes to a flavor by its id, text or number, and shows the new one", async () => {
    await nova.center.addFlavor(
      Flavor.fromPartial({ id: "7", name: "seven", vcpus: 2, ramMib: 1024, rootGib: 2 }),
    );
    expect(await nova.act({ resize: { flavorRef: 7, "OS-DCF:diskConfig": "AUTO" } })).toMatchObject({
      status: 202,
    });
    await nova.center.rest();
    expect(await server({ version: "2.47" })).toMatchObject({
      status: "VERIFY_RESIZE",
      flavor: { original_name: "seven", vcpus: 2 },
    });
  });

  it.each([
    ["an unknown flavor", { flavorRef: "99" }, "Flavor 99 could not be found."],
    ["a flavor by its name", { flavorRef: "m1.large" }, "Flavor m1.large could not be found."],
    ["the same flavor", { flavorRef: "adopted-web" }, /could not be found|must change flavor/],
    [
      "no flavor",
      {},
      "Invalid input for field/attribute resize. Value: {}. 'flavorRef' is a required property",
    ],
    [
      "an empty flavor",
      { flavorRef: "" },
      "Invalid input for field/attribute flavorRef. Value: . '' is too short",
    ],
    [
      "a host",
      { flavorRef: "large", host: "h2" },
      "Invalid input for field/attribute resize. Value: {'flavorRef': 'large', 'host': 'h2'}. Additional properties are not allowed ('host' was unexpected)",
    ],
    [
      "a disk configuration that is none",
      { flavorRef: "large", "OS-DCF:diskConfig": "auto" },
      "Invalid input for field/attribute OS-DCF:diskConfig. Value: auto. 'auto' is not one of ['AUTO', 'MANUAL']",
    ],
    ["nothing", null, "Invalid input for field/attribute resize. Value: None. None is not of type 'object'"],
  ])("refuses %s", async (_what, resize, message) => {
    const answer = await nova.act({ resize });
    expect(answer.status).toBe(400);
    if (message instanceof RegExp) expect(answer.body.badRequest.message).toMatch(message);
    else expect(answer).toMatchObject(bad(message));
  });

  it("refuses a second word beside it", async () => {
    const answer = await nova.act({ resize: { flavorRef: "large" }, migrate: null });
    expect(answer).toMatchObject(bad("Additional properties are not allowed ('migrate' was unexpected)"));
  });

  it("refuses the flavor that the server has, no disk, and a smaller disk", async () => {
    await nova.center.addFlavor(Flavor.fromPartial(small));
    const zero = await nova.act({ resize: { flavorRef: "small" } });
    expect(zero).toMatchObject(
      bad("Server disk was unable to be resized because: Resize to zero disk flavor is not allowed."),
    );
    await nova.act({ resize: { flavorRef: "large" } });
    await nova.center.rest();
    await nova.act({ confirmResize: null });
    await nova.center.ended();
    const same = await nova.act({ resize: { flavorRef: "large" } });
    expect(same).toMatchObject(bad("When resizing, instances must change flavor!"));
    await nova.center.addFlavor(Flavor.fromPartial({ ...small, id: "s1", name: "s1", rootGib: 1 }));
    const smaller = await nova.act({ resize: { flavorRef: "s1" } });
    expect(smaller.body.badRequest.message).toMatch(/^Resize error: Unable to resize disk down./);
  });
});

describe("confirm and revert", () => {
  it("name the migration in a header, as migrate does", async () => {
    const { headers } = await nova.act({ migrate: { host: "h2" } }, V56);
    await nova.center.rest();
    const { id } = await nova.center.migration();
    expect(headers["x-ferry-migration-id"]).toBe(id);
    expect((await nova.act({ revertResize: null })).headers["x-ferry-migration-id"]).toBe(id);
    await nova.center.ended();
    await inVerify();
    const { id: next } = await nova.center.migration();
    expect((await nova.act({ confirmResize: null })).headers["x-ferry-migration-id"]).toBe(next);
    expect(next).not.toBe(id);
    await nova.center.ended();
  });

  it("answer 204 and 202, and end the migration", async () => {
    await inVerify();
    const retire = nova.hold("retireSource");
    expect(await nova.act({ confirmResize: null })).toMatchObject({ status: 204, body: undefined });
    expect(await server()).toMatchObject({ status: "VERIFY_RESIZE", "OS-EXT-STS:task_state": null });
    retire();
    await nova.center.ended();
    expect(await server()).toMatchObject({ status: "ACTIVE", "OS-EXT-SRV-ATTR:host": "h2" });
    await nova.act({ migrate: null });
    await nova.center.rest();
    const withdraw = nova.hold("withdrawTarget");
    expect(await nova.act({ revertResize: null })).toMatchObject({ status: 202 });
    expect(await server()).toMatchObject({
      status: "REVERT_RESIZE",
      "OS-EXT-STS:task_state": "resize_reverting",
    });
    withdraw();
    await nova.center.passTime(async () => (await server()).status === "ACTIVE");
    expect(await server()).toMatchObject({ "OS-EXT-SRV-ATTR:host": "h2" });
  });

  it.each(["confirmResize", "revertResize"])("%s needs a resized server", async action => {
    const words = (state: string) => `Cannot '${action}' instance web while it is in ${state}`;
    expect(await nova.act({ [action]: null })).toMatchObject(conflict(words("vm_state active")));
    const prepare = nova.hold("prepareSource");
    await nova.act({ migrate: null });
    expect(await nova.act({ [action]: null })).toMatchObject(conflict(words("vm_state active")));
    prepare();
    await nova.center.rest();
    const withdraw = nova.hold("withdrawTarget");
    await nova.act({ revertResize: null });
    expect(await nova.act({ [action]: null })).toMatchObject(conflict(words("task_state resize_reverting")));
    withdraw();
    await nova.center.ended();
  });

  it("come too late right after a confirm", async () => {
    await inVerify();
    const retire = nova.hold("retireSource");
    await nova.act({ confirmResize: null });
    for (const action of ["confirmResize", "revertResize"])
      expect(await nova.act({ [action]: null })).toMatchObject(bad("Instance has not been resized."));
    retire();
    await nova.center.ended();
  });

  it("are refused while the source is down, and the server stays as it is", async () => {
    await inVerify();
    nova.center.agents.agent("h1").isReachable = false;
    nova.center.clock.advance(60_000);
    await nova.center.passTime(() => nova.center.controller.fleet.stateOf("h2") === "up");
    expect(await nova.act({ confirmResize: null })).toMatchObject(
      conflict("Service is unavailable at this time."),
    );
    expect(await nova.ask("DELETE", "/servers/web")).toMatchObject({ status: 409 });
    expect(await server()).toMatchObject({ status: "VERIFY_RESIZE" });
  });
});

describe("another action meanwhile", () => {
  it.each([
    ["migrate", { migrate: null }],
    ["resize", { resize: { flavorRef: "large" } }],
    ["stop", { "os-stop": null }],
  ])("%s is refused with the task, and in the verify window with the state", async (name, body) => {
    const prepare = nova.hold("prepareSource");
    await nova.act({ migrate: { host: "h2" } }, V56);
    const words = (state: string) => `Cannot '${name}' instance web while it is in ${state}`;
    expect(await nova.act(body)).toMatchObject(conflict(words("task_state resize_prep")));
    prepare();
    await nova.center.rest();
    expect(await nova.act(body)).toMatchObject(conflict(words("vm_state resized")));
    expect(await nova.act({ "os-start": null })).toMatchObject(
      conflict("Cannot 'start' instance web while it is in vm_state resized"),
    );
  });

  it("delete is allowed at any moment", async () => {
    await inVerify();
    expect(await nova.ask("DELETE", "/servers/web")).toMatchObject({ status: 204 });
    await nova.center.passTime(async () => (await nova.get("/servers/web")).status === 404);
    expect(await nova.get("/servers/web")).toMatchObject(notFound("Instance web could not be found."));
    expect(await nova.center.allocations()).toEqual([]);
  });
});

describe("locks and declared states", () => {
  beforeEach(async () => {
    await nova.center.controller.deps.store.queries.updateTable("server").set({ project: "blue" }).execute();
  });

  it("a lock holds its owner, with the reason since 2.73, and no administrator", async () => {
    const reason = { lock: { locked_reason: "backup" } };
    expect(await nova.act(reason, { as: "ana", version: "2.73" })).toMatchObject({ status: 202 });
    expect(await server({ version: "2.73" })).toMatchObject({ locked: true, locked_reason: "backup" });
    expect(await nova.act({ "os-stop": null }, { as: "ana" })).toMatchObject(
      conflict("Instance web is locked"),
    );
    expect(await nova.act({ "os-stop": null })).toMatchObject({ status: 202 });
    await nova.center.passTime(async () => (await server()).status === "SHUTOFF");
    expect(await nova.act({ unlock: null }, { as: "ana" })).toMatchObject({ status: 202 });
    expect(await server({ version: "2.73" })).toMatchObject({ locked: false, locked_reason: null });
  });

  it("an administrator's lock is not the owner's to undo", async () => {
    // The administrator acts in project blue by default: as an owner. In red it is an administrator's lock.
    const { headers } = await nova.post("/v3/auth/tokens", {
      auth: {
        identity: { methods: ["password"], password: { user: { name: "admin", password: nova.password } } },
        scope: { project: { name: "red", domain: { id: "default" } } },
      },
    });
    const asRed = { as: null, headers: { "x-auth-token": String(headers["x-subject-token"]) } } as const;
    expect(await nova.act({ lock: null }, asRed)).toMatchObject({ status: 202 });
    expect(await nova.act({ unlock: null }, { as: "ana" })).toMatchObject(
      forbidden("os_compute_api:os-lock-server:unlock:unlock_override"),
    );
    expect(await nova.act({ unlock: null }, asRed)).toMatchObject({ status: 202 });
  });

  it("a reason is refused by its schema, and ignored before 2.73", async () => {
    const long = { lock: { locked_reason: "x".repeat(256) } };
    expect((await nova.act(long, { version: "2.73" })).status).toBe(400);
    expect((await nova.act(long, { version: "2.72" })).status).toBe(202);
    expect((await server({ version: "2.73" })).locked_reason).toBeNull();
  });

  it("reset-state is the administrators', and knows two states", async () => {
    expect(await nova.act({ "os-resetState": { state: "error" } })).toMatchObject({ status: 202 });
    expect(await server()).toMatchObject({ status: "ERROR", "OS-EXT-STS:vm_state": "error" });
    expect(await nova.act({ "os-resetState": { state: "active" } })).toMatchObject({ status: 202 });
    expect(await nova.act({ "os-resetState": { state: "paused" } })).toMatchObject(
      bad(
        "Invalid input for field/attribute state. Value: paused. 'paused' is not one of ['active', 'error']",
      ),
    );
    expect(await nova.act({ "os-resetState": { state: "error" } }, { as: "ana" })).toMatchObject(
      forbidden("os_compute_api:os-admin-actions:reset_state"),
    );
  });
});

describe("what is no action", () => {
  it.each([
    ["an unknown one", { nope: null }, bad("There is no such action: nope")],
    ["a name of JavaScript's", { constructor: null }, bad("There is no such action: constructor")],
    ["nothing", {}, bad("Malformed request body")],
    ["a list", [], bad("Malformed request body")],
    ["no JSON", "{", bad("Malformed request body")],
  ])("%s is refused", async (_what, body, answer) => {
    expect(await nova.act(body)).toMatchObject(answer);
  });

  it("live migration is refused in Nova's words, after its body was checked", async () => {
    const live = { host: null, block_migration: "auto" };
    expect(await nova.act({ "os-migrateLive": live }, { version: "2.25" })).toMatchObject({
      status: 501,
      body: { notImplemented: { message: "The requested functionality is not supported." } },
    });
    expect((await nova.act({ "os-migrateLive": live }, { version: "2.24" })).status).toBe(400);
    expect((await nova.act({ "os-migrateLive": { ...live, force: true } }, { version: "2.68" })).status).toBe(
      400,
    );
    expect((await nova.act({ "os-migrateLive": { ...live, force: true } }, { version: "2.67" })).status).toBe(
      501,
    );
    expect((await nova.act({ reboot: { type: "SOFT" } })).status).toBe(501);
  });

  it("an action of a server that is not there, or another's, is 404", async () => {
    expect(await nova.post("/servers/nobody/action", { migrate: null })).toMatchObject(
      notFound("Instance nobody could not be found."),
    );
    expect(await nova.act({ confirmResize: null }, { as: "bob" })).toMatchObject(
      notFound("Instance web could not be found."),
    );
  });
});
