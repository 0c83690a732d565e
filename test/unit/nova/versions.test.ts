/** Microversions: how they are agreed upon, and the fields that come and go with them. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NovaWorld } from "./nova-world.js";

let nova: NovaWorld;
beforeAll(async () => {
  nova = await NovaWorld.open();
});
afterAll(() => nova.close());

const VERSION = "x-openstack-nova-api-version";

describe("version discovery", () => {
  it.each(["", "/"])("answers GET /v2.1%s without credentials", async tail => {
    const { status, body, headers } = await nova.get(`/v2.1${tail}`, { as: null });
    expect(status).toBe(200);
    expect(body.version).toMatchObject({
      id: "v2.1",
      status: "CURRENT",
      version: "2.93",
      min_version: "2.1",
    });
    expect(body.version.links[0]).toEqual({ rel: "self", href: "http://localhost:80/v2.1/" });
    expect(headers["x-openstack-request-id"]).toMatch(/^req-/);
  });

  it("lists the one version at the root", async () => {
    const { status, body } = await nova.get("/", { as: null });
    expect({ status, ids: body.versions.map(({ id }: { id: string }) => id) }).toEqual({
      status: 300,
      ids: ["v2.1"],
    });
  });
});

describe("negotiation", () => {
  it.each([
    ["nothing", {}, "2.1"],
    ["the old header", { [VERSION]: "2.56" }, "2.56"],
    ["the new header", { "openstack-api-version": "compute 2.90" }, "2.90"],
    ["both: the new one counts", { [VERSION]: "2.2", "openstack-api-version": "compute 2.90" }, "2.90"],
    ["among other services'", { "openstack-api-version": "volume 3.1, compute 2.79" }, "2.79"],
    ["latest", { "openstack-api-version": "compute latest" }, "2.93"],
    ["another service's only", { "openstack-api-version": "volume 3.1" }, "2.1"],
  ])("takes %s, and says so in both headers", async (_what, headers, version) => {
    const answer = await nova.get("/servers", { headers });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "openstack-api-version": `compute ${version}`,
      [VERSION]: version,
      vary: "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
    });
    expect(answer.headers["x-compute-request-id"]).toBe(answer.headers["x-openstack-request-id"]);
  });

  it.each(["2.94", "2.999", "2.0", "3.1", "1.1"])("refuses %s with 406", async version => {
    expect(await nova.get("/servers", { version })).toMatchObject({
      status: 406,
      body: {
        computeFault: {
          code: 406,
          message: `Version ${version} is not supported by the API. Minimum is 2.1 and maximum is 2.93.`,
        },
      },
    });
  });

  it.each(["two", "2", "2.x", "2.1.1", "-2.1", "2.01"])("refuses %s with 400", async version => {
    const { status, body } = await nova.get("/servers", { version });
    expect({ status, message: body.badRequest.message }).toEqual({
      status: 400,
      message: `API Version String ${version} is of invalid format. Must be of format MajorNum.MinorNum.`,
    });
  });

  it("keeps the request id and the version in an error", async () => {
    const answer = await nova.get("/servers/none", { version: "2.56" });
    expect(answer).toMatchObject({ status: 404, headers: { "openstack-api-version": "compute 2.56" } });
    expect(answer.headers["x-openstack-request-id"]).toMatch(/^req-/);
  });
});

const REFERENCES = new Set(["id", "name", "links"]);

describe("fields of", () => {
  const has = async (
    path: string,
    pick: (body: never) => object,
    version: string,
    as: "admin" | "ana" = "admin",
  ) => new Set(Object.keys(pick((await nova.get(path, { version, as })).body as never)));

  it.each([
    ["server", "/servers/web", "OS-EXT-SRV-ATTR:hostname", 3],
    ["server", "/servers/web", "locked", 9],
    ["server", "/servers/web", "host_status", 16],
    ["server", "/servers/web", "description", 19],
    ["server", "/servers/web", "tags", 26],
    ["server", "/servers/web", "trusted_image_certificates", 63],
    ["server", "/servers/web", "server_groups", 71],
    ["server", "/servers/web", "locked_reason", 73],
    ["flavor", "/flavors/large", "description", 55],
    ["flavor", "/flavors/large", "extra_specs", 61],
  ])("a %s at %s: %s since 2.%i", async (name, path, field, since) => {
    const pick = (body: Record<string, object>) => body[name] ?? {};
    expect(await has(path, pick as never, `2.${since}`)).toContain(field);
    expect(await has(path, pick as never, `2.${since - 1}`)).not.toContain(field);
  });

  it("a server in a list have no groups", async () => {
    expect(
      await has("/servers/detail", ({ servers }: { servers: object[] }) => servers[0] ?? {}, "2.93"),
    ).not.toContain("server_groups");
  });

  it("a server's flavor: a reference until 2.46, the flavor itself since 2.47", async () => {
    const flavor = ({ server }: { server: { flavor: object } }) => server.flavor;
    expect(await has("/servers/web", flavor, "2.46")).toEqual(new Set(["id", "links"]));
    expect(await has("/servers/web", flavor, "2.47")).toContain("original_name");
  });

  it("a hypervisor: an id that is a number until 2.52, and no numbers of its own since 2.88", async () => {
    const id = async (version: string) =>
      (await nova.get("/os-hypervisors", { version })).body.hypervisors[0].id;
    expect(await id("2.52")).toBeTypeOf("number");
    expect(await id("2.53")).toMatch(/^[0-9a-f-]{36}$/);
    const first = ({ hypervisors }: { hypervisors: object[] }) => hypervisors[0] ?? {};
    expect(await has("/os-hypervisors/detail", first, "2.87")).toContain("vcpus_used");
    expect(await has("/os-hypervisors/detail", first, "2.88")).not.toContain("vcpus_used");
    expect((await nova.get("/os-hypervisors/statistics", { version: "2.87" })).status).toBe(200);
    expect((await nova.get("/os-hypervisors/statistics", { version: "2.88" })).status).toBe(404);
  });

  it("a migration: its type since 2.23, a uuid since 2.59, who asked since 2.80", async () => {
    await nova.act({ migrate: null });
    await nova.center.rest();
    const first = ({ migrations }: { migrations: object[] }) => migrations[0] ?? {};
    for (const [field, since] of [
      ["migration_type", 23],
      ["uuid", 59],
      ["user_id", 80],
      ["project_id", 80],
    ] as const) {
      expect(await has("/os-migrations", first, `2.${since}`)).toContain(field);
      expect(await has("/os-migrations", first, `2.${since - 1}`)).not.toContain(field);
    }
    expect((await nova.get("/os-migrations", { version: "2.59" })).body.migrations[0]).toMatchObject({
      id: 1,
      source_compute: "h1",
      status: "finished",
    });
  });

  it("an action: when it changed since 2.58, and events for its owner since 2.51", async () => {
    await nova.center.controller.deps.store.queries.updateTable("server").set({ project: "blue" }).execute();
    const list = (await nova.get("/servers/web/os-instance-actions", { version: "2.58" })).body
      .instanceActions;
    expect(list[0]).toHaveProperty("updated_at");
    const path = `/servers/web/os-instance-actions/${list[0].request_id}`;
    const shown = async (version: string, as: "admin" | "ana") =>
      (await nova.get(path, { version, as })).body.instanceAction;
    expect(await shown("2.50", "ana")).not.toHaveProperty("events");
    expect((await shown("2.51", "ana")).events[0]).not.toHaveProperty("traceback");
    expect((await shown("2.50", "admin")).events[0]).toHaveProperty("traceback");
    expect((await shown("2.84", "ana")).events[0]).toHaveProperty("details");
    expect((await shown("2.84", "ana")).events[0]).not.toHaveProperty("host");
  });

  it("what everybody sees of where a server runs: nothing", async () => {
    const hidden = (await nova.get("/servers/web", { version: "2.89", as: "ana" })).body.server;
    expect(
      Object.keys(hidden).filter(name => name.startsWith("OS-EXT-SRV-ATTR") || name === "host_status"),
    ).toEqual([]);
    const hostname = (await nova.get("/servers/web", { version: "2.90", as: "ana" })).body.server;
    expect(hostname["OS-EXT-SRV-ATTR:hostname"]).toBe("web");
    expect(
      Object.keys((await nova.get("/servers")).body.servers[0]).every(name => REFERENCES.has(name)),
    ).toBe(true);
  });
});
