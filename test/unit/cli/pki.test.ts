import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTlsFiles } from "../../../proto/tls-files.js";
import { run } from "./shell.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-pki-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ca = () => join(folder, "ca");
const init = (...more: string[]) => run(["pki", "init", "--dir", ca(), ...more]);
const issue = (kind: string, name: string, ...more: string[]) =>
  run(["pki", "issue", kind, name, "--dir", ca(), "--out", join(folder, name), ...more]);
const mode = (path: string) => statSync(path).mode & 0o777;

describe("ferry pki", () => {
  it("writes files that a daemon can use at once", async () => {
    await init("--domain", "ex.org");
    await issue("user", "alice", "--role", "manager");
    const at = (name: string) => join(folder, "alice", name);
    const { identity } = readTlsFiles({ ca: at("ca.crt"), cert: at("user.crt"), key: at("user.key") });
    expect(identity).toEqual({ kind: "user", name: "alice", domain: "ex.org", role: "manager" });
  });

  it("lets nobody else read a key", async () => {
    await init();
    await issue("controller", "ctl");
    expect([mode(join(ca(), "ca.key")), mode(join(folder, "ctl/controller.key"))]).toEqual([0o600, 0o600]);
  });

  it("keeps keys out of its answers", async () => {
    const { out } = await init("-o", "json");
    const { out: issued } = await issue("agent", "h1", "-o", "json");
    expect(`${out}${issued}`).not.toContain("PRIVATE");
    expect(JSON.parse(issued)).toMatchObject({ identity: "agent/h1", key: join(folder, "h1/agent.key") });
  });

  it("overwrites nothing unless told to", async () => {
    await init();
    const before = readFileSync(join(ca(), "ca.crt"));
    expect(await init()).toMatchObject({ code: 4, error: expect.stringContaining("already exist") });
    expect(readFileSync(join(ca(), "ca.crt"))).toEqual(before);
    await issue("agent", "h1");
    expect((await issue("agent", "h1")).code).toBe(4);
    expect((await issue("agent", "h1", "--force")).code).toBe(0);
    expect((await init("--force")).code).toBe(0);
    expect(await issue("user", "h1")).toMatchObject({
      code: 4,
      error: expect.stringContaining("of another CA"),
    });
  });

  it.each([
    [["agent", "../h1"], "cannot be a name"],
    [["printer", "h1"], "unknown kind"],
    [["agent", "h1", "--role", "admin"], "only users have a role"],
    [["user", "al", "--role", "root"], "Allowed choices are admin, manager, member"],
    [["agent", "h1", "--address", "h1:7401"], "neither a DNS name nor an IP address"],
    [["agent", "h1", "--days", "0"], "at least 1"],
  ])("refuses %s", async ([kind = "", name = "", ...more], why) => {
    await init();
    const { code, error } = await issue(kind, name, ...more);
    expect(code).toBe(2);
    expect(error).toContain(why);
  });

  it("names the folder when there is no CA in it", async () => {
    expect(await issue("agent", "h1")).toMatchObject({
      code: 2,
      error: expect.stringContaining(`init --dir ${ca()}`),
    });
  });

  it("shows what a certificate says", async () => {
    await init();
    await issue("user", "alice", "--role", "admin");
    const { out } = await run(["pki", "show", join(folder, "alice/user.crt")]);
    expect(out).toMatch(/identity\s+\| user\/alice/);
    expect(out).toMatch(/role\s+\| admin/);
    expect((await run(["pki", "show", join(ca(), "ca.crt")])).out).toContain("certificate authority");
    writeFileSync(join(folder, "junk"), "junk");
    expect((await run(["pki", "show", join(folder, "junk")])).error).toContain("holds no certificate");
  });
});
