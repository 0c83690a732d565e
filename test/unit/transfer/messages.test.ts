/** Who is who: hellos, tokens, certificates, and what a peer's refusal becomes. */

import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  chooseAlgorithm,
  createToken,
  decodeError,
  decodeHello,
  decodeOpen,
  decodeWelcome,
  encodeError,
  encodeHello,
  encodeWelcome,
  type HelloClaims,
  provesToken,
} from "../../../agent/transfer/messages.js";
import { parseAgentIdentity } from "../../../agent/transfer/peer-identity.js";
import { Fault } from "../../../proto/fault.js";

const claims: HelloClaims = {
  purpose: "copy",
  migrationId: "m",
  serverId: "s",
  epoch: 4,
  attempt: "0".repeat(32),
  connection: 0,
  files: ["vda/0"],
  algorithms: ["blake3", "sha256"],
  compressions: ["zstd"],
};
const token = createToken();
const channel = randomBytes(32);

describe("a hello", () => {
  const hello = decodeHello(encodeHello(claims, token, channel));

  it("proves the token without showing it", () => {
    expect(provesToken(hello, token, channel)).toBe(true);
    expect(encodeHello(claims, token, channel).toString()).not.toContain(token);
  });

  it.each<[string, object]>([
    ["migration", { migrationId: "other" }],
    ["epoch", { epoch: 5 }],
    ["files", { files: ["vda/0", "vdb/0"] }],
    ["server", { serverId: "other" }],
    ["purpose", { purpose: "probe" }],
    ["algorithms", { algorithms: ["sha256"] }],
    ["compressions", { compressions: [] }],
    ["attempt", { attempt: "1".repeat(32) }],
  ])("is bound to its %s", (_, change) => {
    expect(provesToken({ ...hello, ...change }, token, channel)).toBe(false);
  });

  it("is good for one TLS channel and one token only", () => {
    expect(provesToken(hello, token, randomBytes(32))).toBe(false);
    expect(provesToken(hello, createToken(), channel)).toBe(false);
  });

  it("of another version is unsupported, and says which", () => {
    const payload = Buffer.from(JSON.stringify({ ...hello, version: 9 }));
    expect(() => decodeHello(payload)).toThrow(/version|protocol 9/);
  });

  it.each(["", "{", "[]", '{"version":1}', "null"])("that is malformed (%s) is a Fault", text => {
    expect(() => decodeHello(Buffer.from(text))).toThrow(Fault);
    expect(() => decodeOpen(Buffer.from(text))).toThrow(Fault);
  });
});

describe("a digest algorithm", () => {
  const hello = decodeHello(encodeHello(claims, token, channel));

  it("is the source's favourite among those that the target has, too", () => {
    expect(chooseAlgorithm(hello, ["sha256", "blake3"])).toBe("blake3");
    expect(chooseAlgorithm(hello, ["sha256"])).toBe("sha256");
    const welcome = { algorithm: "sha256", compression: "zstd" as const };
    expect(decodeWelcome(encodeWelcome(welcome))).toEqual(welcome);
  });

  it("that both have must exist", () => {
    expect(() => chooseAlgorithm(hello, ["md5"])).toThrow(/both hosts/);
  });
});

describe("a peer's refusal", () => {
  it("keeps its code and detail and names the host", () => {
    const fault = new Fault("out-of-space", "write vda", { have: "1", need: "2", fix: "free space" });
    const { code, detail, message } = decodeError(encodeError(fault), "h2");
    expect({ code, detail, message }).toEqual({
      code: "out-of-space",
      detail: { have: "1", need: "2", fix: "free space", host: "h2" },
      message: "h2: write vda",
    });
  });

  it("with a code of another release is a failure, not a crash", () => {
    const payload = Buffer.from(JSON.stringify({ code: "brand-new", message: "?" }));
    expect(decodeError(payload, "h2").code).toBe("failed");
  });
});

describe("a certificate", () => {
  it("names an agent's host and domain", () => {
    expect(parseAgentIdentity("DNS:h1, URI:spiffe://lab.ferry/agent/h1")).toEqual({
      domain: "lab.ferry",
      host: "h1",
    });
  });

  it.each([
    undefined,
    "",
    "DNS:h1",
    "URI:spiffe://lab/user/h1",
    "URI:spiffe://lab/agent/h1/more",
    "URI:spiffe://lab/agent/",
    "URI:spiffe://lab/agent/h1, URI:spiffe://lab/agent/h2",
    'URI:"spiffe://lab/agent/h1, DNS:x"',
    "URI:https://lab/agent/h1",
  ])("with other names (%s) is not an agent's", names => {
    expect(() => parseAgentIdentity(names)).toThrow(/not an agent/);
  });
});
