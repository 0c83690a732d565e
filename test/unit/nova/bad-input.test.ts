/** Whatever is sent: a clear answer, never a 500, and nothing is lost. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { NovaWorld } from "./nova-world.js";

let nova: NovaWorld;
beforeAll(async () => {
  nova = await NovaWorld.open();
});
afterAll(() => nova.close());
afterEach(async () => {
  expect(nova.failures).toEqual([]);
  expect((await nova.get("/servers/web")).body.server.status).toBe("ACTIVE");
});

const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

describe("a body", () => {
  it.each([
    ["that is cut off", '{"migrate": '],
    ["that is no JSON", "migrate=1"],
    ["that is a number", "7"],
    ["that is null", "null"],
    ["that is nested a hundred levels deep", `{"migrate": ${nested(100)}}`],
    [
      "that is nested a hundred thousand levels deep",
      `{"migrate": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
    ],
    ["that is empty", ""],
    ["with a NUL in front", '\u0000{"migrate": null}'],
  ])("%s is 400", async (_what, body) => {
    const answer = await nova.act(body, { headers: { "content-type": "application/json" } });
    expect(answer).toMatchObject({
      status: 400,
      body: { badRequest: { message: "Malformed request body" } },
    });
  });

  it("of 10 MB is 413", async () => {
    const answer = await nova.act({ migrate: { host: "x".repeat(10_000_000) } });
    expect(answer).toMatchObject({ status: 413, body: { overLimit: { code: 413 } } });
  });

  it("of another kind is 415", async () => {
    const answer = await nova.act("<migrate/>", { headers: { "content-type": "application/xml" } });
    expect(answer).toMatchObject({
      status: 415,
      body: { badMediaType: { message: "Unsupported Content-Type" } },
    });
  });

  it("with JavaScript's own names changes nothing", async () => {
    const answer = await nova.act('{"__proto__": {"migrate": null}}');
    expect(answer).toMatchObject({
      status: 400,
      body: { badRequest: { message: "There is no such action: __proto__" } },
    });
    const polluted = await nova.act('{"migrate": {"__proto__": {"host": "h2"}}}', { version: "2.56" });
    expect(polluted.status).toBe(400);
  });

  it.each([
    ["resize", { resize: { flavorRef: ["large"] } }],
    ["resize", { resize: { flavorRef: { id: "large" } } }],
    ["resize", { resize: { flavorRef: true } }],
    ["migrate", { migrate: "h2" }],
    ["migrate", { migrate: ["h2"] }],
    ["migrate", { migrate: { host: `h2\n` } }],
    ["migrate", { migrate: { host: "é".repeat(300) } }],
    ["os-resetState", { "os-resetState": null }],
    ["os-resetState", { "os-resetState": { state: ["active"] } }],
  ])("with a wrong type in %s is 400", async (_what, body) => {
    expect((await nova.act(body, { version: "2.90" })).status).toBe(400);
  });
});

describe("a path or a filter", () => {
  const nasty = [
    "' OR 1=1 --",
    "web'; DROP TABLE server; --",
    "../../etc/passwd",
    "..%2f..%2fetc",
    "%00",
    "a".repeat(500),
    "💥",
  ];

  it.each(nasty)("with %j finds nothing", async text => {
    const encoded = encodeURIComponent(text);
    for (const path of [
      "/servers/",
      "/flavors/",
      "/os-hypervisors/",
      "/os-aggregates/",
      "/os-server-groups/",
    ])
      expect([path, (await nova.get(`${path}${encoded}`)).status]).toEqual([path, 404]);
    expect((await nova.get(`/servers/web/os-instance-actions/${encoded}`)).status).toBe(404);
    for (const filter of ["name", "status", "host", "uuid", "flavor", "project_id"])
      expect((await nova.get(`/servers/detail?${filter}=${encoded}`)).body.servers).toEqual([]);
    expect((await nova.get(`/os-migrations?instance_uuid=${encoded}`)).body.migrations).toEqual([]);
  });

  it("that cannot be decoded is 400, and one that is too long is refused", async () => {
    expect((await nova.get("/servers/%zz")).status).toBe(400);
    expect((await nova.get(`/servers/${"a".repeat(5000)}`)).status).toBeGreaterThanOrEqual(400);
  });

  it("that does not exist is 404, in Nova's words", async () => {
    expect(await nova.get("/os-floating-ips")).toMatchObject({
      status: 404,
      body: { itemNotFound: { code: 404, message: "The resource could not be found." } },
    });
  });

  it.each([
    ["/servers?limit=-1", /limit/],
    ["/servers?limit=x", /limit/],
    ["/servers?marker=nobody", "marker [nobody] not found"],
    ["/servers?changes-since=yesterday", /changes-since/],
    ["/flavors?minRam=lots", "Invalid minRam filter [lots]"],
  ])("%s is 400", async (path, message) => {
    const { status, body } = await nova.get(path);
    expect(status).toBe(400);
    if (typeof message === "string") expect(body.badRequest.message).toBe(message);
    else expect(body.badRequest.message).toMatch(message);
  });

  it("that os-migrations does not know is ignored before 2.59 and refused since", async () => {
    expect((await nova.get("/os-migrations?color=red", { version: "2.58" })).status).toBe(200);
    expect(await nova.get("/os-migrations?color=red", { version: "2.59" })).toMatchObject({
      status: 400,
      body: { badRequest: { message: "Additional properties are not allowed ('color' was unexpected)" } },
    });
    expect((await nova.get("/os-migrations?marker=nobody", { version: "2.59" })).status).toBe(400);
  });
});

describe("a thousand requests at once", () => {
  it("are all answered, and one of them moves the server", async () => {
    const gets = Array.from({ length: 980 }, () => nova.get("/servers/detail", { version: "2.90" }));
    const moves = Array.from({ length: 20 }, () =>
      nova.act({ migrate: { host: "h2" } }, { version: "2.56" }),
    );
    const seen = await Promise.all(gets);
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200]));
    const statuses = (await Promise.all(moves)).map(({ status }) => status);
    expect(statuses.filter(status => status === 202)).toHaveLength(1);
    expect(statuses.filter(status => status === 409)).toHaveLength(19);
    await nova.center.rest();
    await nova.act({ confirmResize: null });
    await nova.center.ended();
  });
});
