import { describe, expect, it } from "vitest";
import { identityUris, parseIdentity } from "../../../proto/identity.js";

describe("an identity", () => {
  it.each([
    ["URI:spiffe://ferry/agent/h1", { kind: "agent", name: "h1", domain: "ferry" }],
    [
      "DNS:ctl, URI:spiffe://ex.org/controller/ctl, IP Address:10.0.0.1",
      { kind: "controller", name: "ctl", domain: "ex.org" },
    ],
    ["URI:spiffe://ferry/user/alice", { kind: "user", name: "alice", domain: "ferry", role: "member" }],
    [
      "URI:spiffe://ferry/user/al@ex.org, URI:urn:ferry:role:admin",
      { kind: "user", name: "al@ex.org", domain: "ferry", role: "admin" },
    ],
  ])("is read from %s", (names, identity) => {
    expect(parseIdentity(names, identity.domain)).toEqual(identity);
  });

  it("survives the way through a certificate's names", () => {
    const identity = { kind: "user", name: "bob", domain: "ferry", role: "manager" } as const;
    const names = identityUris(identity).map(uri => `URI:${uri}`);
    expect(parseIdentity(names.join(", "))).toEqual(identity);
  });

  it.each([
    [undefined, "no spiffe"],
    ["DNS:h1", "no spiffe"],
    ["URI:spiffe://ferry/agent/h1, URI:spiffe://ferry/agent/h2", "several spiffe"],
    ["URI:spiffe://other/agent/h1", "domain other"],
    ["URI:spiffe://ferry/admin/h1", "malformed"],
    ["URI:spiffe://ferry/agent/", "malformed"],
    ["URI:spiffe://ferry/agent/h1/extra", "malformed"],
    ["URI:spiffe://ferry/agent/../controller", "malformed"],
    ["URI:SPIFFE://ferry/agent/h1, URI:spiffe://ferry/agent/h1", "several spiffe"],
    ["URI:spiffe://ferry/agent/h1, URI:urn:ferry:role:admin", "role to an agent"],
    ["URI:spiffe://ferry/user/a, URI:urn:ferry:role:member, URI:urn:ferry:role:admin", "several roles"],
    ["URI:spiffe://ferry/user/a, URI:urn:ferry:role:root", "unknown role"],
    ["URI:spiffe://ferry/user/a, URI:URN:ferry:role:admin", "unknown role"],
    ['URI:"spiffe://ferry/user/a, URI:urn:ferry:role:admin"', "without doubt"],
  ])("is refused when it is %s", (names, why) => {
    expect(() => parseIdentity(names, "ferry")).toThrow(why);
  });
});
