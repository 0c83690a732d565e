/** Extra specs of a flavor over REST: as Nova answers, and what they change. */

import { describe, expect, it } from "vitest";
import type { NovaWorld } from "./nova-world.js";
import { withNovaWorld } from "./with-nova-world.js";

let nova: NovaWorld;
withNovaWorld(async made => {
  nova = made;
  const flavor = { name: "m1.numa", id: "7", ram: 512, vcpus: 2, disk: 1 };
  expect((await nova.post("/flavors", { flavor })).status).toBe(200);
});

const PATH = "/flavors/7/os-extra_specs";
const specs = async () => (await nova.get(PATH)).body.extra_specs;

describe("extra specs", () => {
  it("are set, changed one by one, shown with the flavor and removed", async () => {
    const extra_specs = { "hw:numa_nodes": "2", "hw:cpu_policy": "dedicated" };
    expect(await nova.post(PATH, { extra_specs })).toMatchObject({ status: 200, body: { extra_specs } });
    const one = { "hw:numa_nodes": "1" };
    expect(await nova.ask("PUT", `${PATH}/hw:numa_nodes`, { body: one })).toMatchObject({
      status: 200,
      body: one,
    });
    expect((await nova.ask("DELETE", `${PATH}/hw:cpu_policy`)).status).toBe(200);
    expect(await specs()).toEqual(one);
    expect((await nova.get("/flavors/7", { version: "2.61" })).body.flavor.extra_specs).toEqual(one);
  });

  it("take numbers, and are texts", async () => {
    await nova.post(PATH, { extra_specs: { "quota:vif": 5 } });
    expect(await specs()).toEqual({ "quota:vif": "5" });
  });

  it("of a flavor are a new server's only: one that exists keeps its own", async () => {
    const { flavor } = (await nova.get("/servers/web", { version: "2.90" })).body.server;
    const found = (await nova.get(`/flavors?limit=10`)).body.flavors as { id: string }[];
    for (const { id } of found)
      await nova.post(`/flavors/${id}/os-extra_specs`, { extra_specs: { key: "new" } });
    const after = (await nova.get("/servers/web", { version: "2.90" })).body.server.flavor;
    expect(after).toEqual(flavor);
  });

  it.each([
    ["an unknown flavor", "POST", "/flavors/9/os-extra_specs", { extra_specs: { a: "b" } }, 404],
    ["a key that is not there", "DELETE", `${PATH}/nope`, undefined, 404],
    ["another key than the path's", "PUT", `${PATH}/a`, { b: "c" }, 400],
    ["two keys", "PUT", `${PATH}/a`, { a: "b", c: "d" }, 400],
    ["a key with a slash", "POST", PATH, { extra_specs: { "a/b": "c" } }, 400],
    ["a value that is no text", "POST", PATH, { extra_specs: { a: { b: "c" } } }, 400],
    ["a value of 256 characters", "POST", PATH, { extra_specs: { a: "x".repeat(256) } }, 400],
    ["no specs", "POST", PATH, {}, 400],
    ["a list", "POST", PATH, { extra_specs: [] }, 400],
  ])("with %s are refused", async (_what, method, path, body, status) => {
    expect((await nova.ask(method, path, body === undefined ? {} : { body })).status).toBe(status);
    expect(await specs()).toEqual({});
  });

  it("are the administrators' to change", async () => {
    const refused = await nova.post(PATH, { extra_specs: { a: "b" } }, { as: "ana" });
    expect(refused.status).toBe(403);
    expect(refused.body.forbidden.message).toBe(
      "Policy doesn't allow os_compute_api:os-flavor-extra-specs:update to be performed.",
    );
    expect((await nova.get(PATH, { as: "ana" })).status).toBe(200);
  });
});
