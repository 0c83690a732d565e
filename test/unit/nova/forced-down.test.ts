/** A host that a person calls down: as Nova's clients say it, and what follows from it, and what does not. */

import { describe, expect, it } from "vitest";
import type { NovaWorld } from "./nova-world.js";
import { withNovaWorld } from "./with-nova-world.js";

let nova: NovaWorld;
withNovaWorld(made => {
  nova = made;
});

const V56 = { version: "2.56" };
const byName = (host: string, forced_down: unknown, ask = {}) =>
  nova.ask("PUT", "/os-services/force-down", {
    version: "2.11",
    body: { host, binary: "nova-compute", forced_down },
    ...ask,
  });
const serviceOf = async (host: string, version: string) =>
  (await nova.get(`/os-services?host=${host}`, { version })).body.services[0];
const unavailable = {
  status: 409,
  body: { conflictingRequest: { message: "Service is unavailable at this time." } },
};

describe("forced_down", () => {
  it("is said by name since 2.11, and shown", async () => {
    expect(await byName("h2", true)).toMatchObject({
      status: 200,
      body: { service: { host: "h2", binary: "nova-compute", forced_down: true } },
    });
    expect(await serviceOf("h2", "2.11")).toMatchObject({
      state: "down",
      status: "enabled",
      forced_down: true,
    });
    expect(await serviceOf("h2", "2.10")).not.toHaveProperty("forced_down");
    expect(await byName("h2", "False")).toMatchObject({ body: { service: { forced_down: false } } });
    expect(await serviceOf("h2", "2.11")).toMatchObject({ state: "up", forced_down: false });
  });

  it("is said by id since 2.53, with a status or without", async () => {
    const { id } = await serviceOf("h2", "2.53");
    const put = (body: object) => nova.ask("PUT", `/os-services/${id}`, { version: "2.53", body });
    expect(await put({ forced_down: true })).toMatchObject({
      status: 200,
      body: { service: { id, state: "down", status: "enabled", forced_down: true } },
    });
    expect(await put({ forced_down: false, status: "disabled", disabled_reason: "disk" })).toMatchObject({
      body: { service: { state: "up", status: "disabled", disabled_reason: "disk", forced_down: false } },
    });
  });

  it.each([
    ["before 2.11", { version: "2.10" }, 404],
    ["by name since 2.53", { version: "2.53" }, 400],
    ["of an unknown host", { body: { host: "h9", binary: "nova-compute", forced_down: true } }, 404],
    ["of another binary", { body: { host: "h2", binary: "nova-scheduler", forced_down: true } }, 404],
    ["with no boolean", { body: { host: "h2", binary: "nova-compute", forced_down: 2 } }, 400],
    ["without saying so", { body: { host: "h2", binary: "nova-compute" } }, 400],
    ["by a member", { as: "ana" }, 403],
  ])("%s is refused", async (_what, ask, status) => {
    expect((await byName("h2", true, ask)).status).toBe(status);
    expect((await serviceOf("h2", "2.11")).state).toBe("up");
  });
});

describe("a host that was forced down", () => {
  it("is given nothing, though its agent is heard", async () => {
    await byName("h2", true);
    expect(await nova.act({ migrate: { host: "h2" } }, V56)).toMatchObject({ status: 400 });
    expect(await nova.act({ migrate: { host: "h2", force: true } }, V56)).toMatchObject({ status: 400 });
    await nova.act({ migrate: null }, V56);
    await nova.center.rest();
    expect((await nova.get("/servers/web")).body.server["OS-EXT-SRV-ATTR:host"]).toBe("h3");
  });

  it("keeps its servers: none is started elsewhere, and moving one is refused as Nova refuses it", async () => {
    await byName("h1", true);
    expect(await nova.act({ migrate: null }, V56)).toMatchObject(unavailable);
    expect((await nova.get("/servers/web")).body.server).toMatchObject({
      status: "ACTIVE",
      "OS-EXT-SRV-ATTR:host": "h1",
    });
    await byName("h1", false);
    expect((await nova.act({ migrate: null }, V56)).status).toBe(202);
    await nova.center.rest();
  });

  it("is not confirmed away while it is the source or the target of a migration", async () => {
    await nova.act({ migrate: { host: "h2" } }, V56);
    await nova.center.rest();
    for (const host of ["h1", "h2"]) {
      await byName(host, true);
      expect(await nova.act({ confirmResize: null })).toMatchObject(unavailable);
      await byName(host, false);
    }
    expect((await nova.act({ confirmResize: null })).status).toBe(204);
    await nova.center.rest();
  });
});
