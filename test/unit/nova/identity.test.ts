/** Who is let in: logins as Keystone's, basic and static tokens; what the credential file says now is what counts. */

import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hashSecret, verifySecret } from "../../../proto/secret-hash.js";
import type { NovaWorld } from "./nova-world.js";
import { withNovaWorld } from "./with-nova-world.js";

let nova: NovaWorld;
withNovaWorld(made => {
  nova = made;
});

const login = (name: string, scope: object | string | undefined = undefined, password = nova.password) =>
  nova.post(
    "/v3/auth/tokens",
    {
      auth: {
        identity: {
          methods: ["password"],
          password: { user: { name, domain: { id: "default" }, password } },
        },
        ...(scope === undefined ? {} : { scope }),
      },
    },
    { as: null },
  );
const project = (name: string) => ({ project: { name, domain: { id: "default" } } });
const tokenOf = async (name: string, scope?: object) =>
  String((await login(name, scope)).headers["x-subject-token"]);
const withToken = (token: string) => ({ as: null, headers: { "x-auth-token": token } }) as const;
const rejected = { status: 401, body: { unauthorized: { code: 401 } } };

describe("a login", () => {
  it("gives a token for a project, with roles and the compute endpoint", async () => {
    const { status, body } = await login("admin", project("red"));
    expect(status).toBe(201);
    expect(body.token).toMatchObject({
      methods: ["password"],
      user: { name: "admin", domain: { id: "default" } },
      project: { name: "red" },
      roles: [{ name: "admin" }, { name: "manager" }, { name: "member" }, { name: "reader" }],
    });
    const compute = body.token.catalog.find(({ type }: { type: string }) => type === "compute");
    expect(compute.endpoints[0]).toMatchObject({ interface: "public", url: "http://localhost:80/v2.1" });
  });

  it("without a project takes the user's first, and none when that is said", async () => {
    expect((await login("bob")).body.token.project.name).toBe("red");
    const unscoped = (await login("bob", "unscoped")).body.token;
    expect([unscoped.project, unscoped.catalog]).toEqual([undefined, undefined]);
  });

  it.each([
    ["a wrong password", () => login("admin", undefined, "wrong")],
    ["an unknown user", () => login("mallory")],
    ["a user without a password", () => login("robot")],
    ["another's project", () => login("bob", project("blue"))],
    ["a name of JavaScript's", () => login("constructor")],
  ])("with %s is 401 in Keystone's words", async (_what, attempt) => {
    expect(await attempt()).toMatchObject({
      status: 401,
      body: { error: { code: 401, title: "Unauthorized" } },
    });
  });

  it.each([
    {},
    { auth: null },
    { auth: { identity: { methods: [] } } },
    { auth: { identity: { methods: ["password"], password: { user: { name: 1 } } } } },
  ])("that makes no sense is 400: %j", async body => {
    expect(await nova.post("/v3/auth/tokens", body, { as: null })).toMatchObject({
      status: 400,
      body: { error: { code: 400 } },
    });
  });

  it("by a token gives another one that does not live longer", async () => {
    const token = await tokenOf("admin");
    nova.center.clock.advance(30 * 60_000);
    const again = { auth: { identity: { methods: ["token"], token: { id: token } }, scope: project("red") } };
    const { status, body } = await nova.post("/v3/auth/tokens", again, { as: null });
    expect([status, body.token.project.name]).toEqual([201, "red"]);
    expect(Date.parse(body.token.expires_at)).toBe(Date.UTC(2026, 0, 1, 1));
  });
});

describe("a token", () => {
  it("opens the compute API until it is given up", async () => {
    const token = await tokenOf("ana");
    expect((await nova.get("/servers", withToken(token))).status).toBe(200);
    const headers = { "x-auth-token": token, "x-subject-token": token };
    expect((await nova.get("/v3/auth/tokens", { as: null, headers })).body.token.user.name).toBe("ana");
    expect((await nova.ask("DELETE", "/v3/auth/tokens", { as: null, headers })).status).toBe(204);
    expect(await nova.get("/servers", withToken(token))).toMatchObject(rejected);
  });

  it("is looked at by its owner and by administrators only", async () => {
    const [ana, bob, admin] = [await tokenOf("ana"), await tokenOf("bob"), await tokenOf("admin")];
    const look = (as: string) =>
      nova.get("/v3/auth/tokens", { as: null, headers: { "x-auth-token": as, "x-subject-token": ana } });
    expect((await look(bob)).status).toBe(404);
    expect((await look(admin)).status).toBe(200);
  });

  it("ends after an hour", async () => {
    const token = await tokenOf("ana");
    nova.center.clock.advance(59 * 60_000);
    expect((await nova.get("/servers", withToken(token))).status).toBe(200);
    nova.center.clock.advance(61_000);
    expect(await nova.get("/servers", withToken(token))).toMatchObject(rejected);
  });

  it("is known to every controller on the store, and given up for all of them", async () => {
    const [token, other] = [await tokenOf("ana"), await nova.another()];
    expect((await other.get("/servers", withToken(token))).status).toBe(200);
    const headers = { "x-auth-token": token, "x-subject-token": token };
    expect((await other.ask("DELETE", "/v3/auth/tokens", { as: null, headers })).status).toBe(204);
    expect(await nova.get("/servers", withToken(token))).toMatchObject(rejected);
    await other.app.close();
  });

  it("ends with the password that it was had by", async () => {
    const token = await tokenOf("ana");
    const text = readFileSync(nova.credentialFile, "utf8");
    const password = `password = "${await hashSecret("another")}"`;
    writeFileSync(nova.credentialFile, text.replace(/(?<=\[users\.ana\]\n)password = .*/, password));
    nova.center.clock.advance(3_000);
    expect(await nova.get("/servers", withToken(token))).toMatchObject(rejected);
  });

  it("is worth nothing when a single character of it is another one", async () => {
    const token = await tokenOf("ana");
    const said = JSON.parse(Buffer.from(token.slice(6).split(".")[0] ?? "", "base64url").toString());
    const forged = Buffer.from(JSON.stringify({ ...said, user: "admin" })).toString("base64url");
    const signature = token.split(".")[1] ?? "";
    const changed = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
    const said64 = token.slice(6).split(".")[0];
    for (const wrong of [
      `gAAAAA${forged}.${signature}`,
      `gAAAAA${said64}.${changed}`,
      `gAAAAA${said64}.`,
      `${token}.x`,
    ])
      expect(await nova.get("/servers", withToken(wrong))).toMatchObject(rejected);
  });

  it("of a user who was taken out of the file is worth nothing, and a new role counts at once", async () => {
    const token = await tokenOf("ana");
    const text = readFileSync(nova.credentialFile, "utf8");
    writeFileSync(nova.credentialFile, text.replace('role = "member"', 'role = "admin"'));
    nova.center.clock.advance(3_000);
    expect((await nova.get("/os-hypervisors", withToken(token))).status).toBe(200);
    writeFileSync(nova.credentialFile, text.replace("[users.ana]", "[users.anna]"));
    nova.center.clock.advance(3_000);
    expect(await nova.get("/servers", withToken(token))).toMatchObject(rejected);
  });

  it("is still good when the file has become unreadable", async () => {
    writeFileSync(nova.credentialFile, "[users");
    nova.center.clock.advance(3_000);
    expect((await nova.get("/servers", { as: "ana" })).status).toBe(200);
  });
});

describe("a request", () => {
  it("with a static token acts for its user", async () => {
    expect((await nova.get("/os-migrations", withToken("robot.5ecret"))).status).toBe(200);
    for (const wrong of ["robot.other", "robot", "admin.5ecret", ".5ecret", "."])
      expect(await nova.get("/servers", withToken(wrong))).toMatchObject(rejected);
  });

  it("without credentials, or with wrong ones, is 401 and says how", async () => {
    for (const authorization of [
      undefined,
      "Basic !!!",
      `Basic ${btoa("ana:wrong")}`,
      `Basic ${btoa("ana")}`,
      "Bearer x",
    ]) {
      const answer = await nova.get("/servers", {
        as: null,
        ...(authorization && { headers: { authorization } }),
      });
      expect(answer).toMatchObject({ ...rejected, headers: { "www-authenticate": 'Basic realm="Ferry"' } });
    }
  });

  it("sees its own project's servers; others' do not exist", async () => {
    await nova.center.controller.deps.store.queries.updateTable("server").set({ project: "blue" }).execute();
    expect((await nova.get("/servers", { as: "ana" })).body.servers).toHaveLength(1);
    expect((await nova.get("/servers", { as: "bob" })).body.servers).toEqual([]);
    expect((await nova.get("/servers/web", { as: "bob" })).status).toBe(404);
    expect((await nova.get("/servers?all_tenants=1", { as: "bob" })).status).toBe(403);
    const red = withToken(await tokenOf("admin", project("red")));
    expect((await nova.get("/servers", red)).body.servers).toEqual([]);
    expect((await nova.get("/servers?all_tenants=True", red)).body.servers).toHaveLength(1);
    for (const path of ["/os-hypervisors", "/os-services", "/os-migrations", "/os-aggregates"])
      expect([path, (await nova.get(path, { as: "bob" })).status]).toEqual([path, 403]);
  });
});

describe("a secret", () => {
  it("is checked against its hash, and against nothing else", async () => {
    const hash = await hashSecret("open sesame");
    expect(await verifySecret("open sesame", hash)).toBe(true);
    expect(await verifySecret("open sesame ", hash)).toBe(false);
    for (const none of ["", "open sesame", "scrypt$0$0$0$$", hash.replace("scrypt", "plain")])
      expect(await verifySecret("open sesame", none)).toBe(false);
  });
});
