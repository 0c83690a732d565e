import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalJson } from "../../../proto/canonical-json.js";
import type { Receipt } from "../../../proto/gen/ferry/v1/agent.js";
import { type Statement, signStatement, verifyStatement } from "../../../proto/receipt.js";
import { Certificates } from "./certificates.js";

const statement = (at = Date.now()): Statement => ({
  kind: "fence",
  server: "0e1f",
  migration: "m-7",
  incarnation: "i-3",
  epoch: 4,
  host: "h1",
  peerHost: "h2",
  bootId: "b-1",
  at,
  facts: { domain: "undefined", running: false, filesOpen: false, refusesBelowEpoch: 5 },
  files: [
    {
      id: "vda/0",
      path: "/srv/a.qcow2",
      mode: "copied",
      device: "253:0",
      inode: "18446744073709551615",
      birthNs: "1700000000123456789",
    },
  ],
});

let certificates: Certificates;
const read = async (name: string, kind: "agent" | "user" = "agent", options = {}) => {
  const { cert, key } = await certificates.files(
    { kind, name, ...(kind === "user" ? { role: "admin" } : {}) },
    options,
  );
  return { cert: readFileSync(cert), key: readFileSync(key) };
};
const expecting = (changes = {}) => ({
  ca: certificates.authority.certPem,
  kind: "fence" as const,
  host: "h1",
  domain: "ferry",
  ...changes,
});
const signed = async (value = statement()): Promise<Receipt> => {
  const { cert, key } = await read("h1");
  return signStatement(value, key, cert);
};

beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

describe("a receipt", () => {
  it("gives back the statement that the agent signed", async () => {
    const value = statement();
    expect(verifyStatement(await signed(value), expecting())).toEqual(value);
  });

  it("is worthless after one changed byte", async () => {
    const receipt = await signed();
    const forged = Buffer.from(receipt.statement.toString().replace('"epoch":4', '"epoch":5'));
    expect(() => verifyStatement({ ...receipt, statement: forged }, expecting())).toThrow("wrong signature");
  });

  it("is worthless when another host's agent signed it", async () => {
    const { cert, key } = await read("h2");
    const receipt = signStatement(statement(), key, cert);
    expect(() => verifyStatement(receipt, expecting())).toThrow("signed by agent/h2");
    expect(() => verifyStatement(receipt, expecting({ host: "h2" }))).toThrow("speaks for h1");
  });

  it("is worthless when a user signed it", async () => {
    const { cert, key } = await read("h1", "user");
    expect(() => verifyStatement(signStatement(statement(), key, cert), expecting())).toThrow(
      "signed by user/h1",
    );
  });

  it("is worthless under a certificate of another CA", async () => {
    using others = await Certificates.make();
    const receipt = await signed();
    expect(() => verifyStatement(receipt, expecting({ ca: others.authority.certPem }))).toThrow("another CA");
  });

  it("is worthless when signed with another key than its certificate's", async () => {
    const { cert } = await read("h1");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = privateKey.export({ type: "pkcs8", format: "pem" });
    expect(() => verifyStatement(signStatement(statement(), key, cert), expecting())).toThrow(
      "wrong signature",
    );
  });

  it("holds after its certificate has expired, but not when it is dated after that", async () => {
    const now = new Date(Date.now() - 10 * 86_400_000);
    using old = await Certificates.make("ferry", new Date(now.getTime() - 1000));
    const paths = await old.files({ kind: "agent", name: "h1" }, { days: 1, now });
    const [key, cert] = [readFileSync(paths.key), readFileSync(paths.cert)];
    const expected = expecting({ ca: old.authority.certPem });
    expect(verifyStatement(signStatement(statement(now.getTime()), key, cert), expected).at).toBe(
      now.getTime(),
    );
    expect(() => verifyStatement(signStatement(statement(), key, cert), expected)).toThrow("was not valid");
  });

  it("is worthless in another spelling, even when rightly signed", async () => {
    const { cert, key } = await read("h1");
    const spelt = Buffer.from(JSON.stringify(statement(), undefined, 1));
    const receipt = {
      statement: spelt,
      signature: sign("sha256", spelt, key),
      certificatePem: cert.toString(),
    };
    expect(() => verifyStatement(receipt, expecting())).toThrow("does not know");
  });

  it("of one kind does not serve as the other", async () => {
    const receipt = await signed();
    expect(() => verifyStatement(receipt, expecting({ kind: "mirror" }))).toThrow("is a fence receipt");
  });

  it("cannot state that the guest runs, or that files are open", async () => {
    const { cert, key } = await read("h1");
    const value = { ...statement(), facts: { ...statement().facts, running: true } } as unknown as Statement;
    expect(() => signStatement(value, key, cert)).toThrow();
  });
});

describe("canonical JSON", () => {
  it("spells a value the same whatever the order of its keys", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "é" }], a: true })).toBe(
      '{"a":true,"b":[1,{"c":"é","d":null}]}',
    );
  });

  it.each([1.5, Number.NaN, 2 ** 53])("has no spelling for %s", value => {
    expect(() => canonicalJson(value)).toThrow("no canonical spelling");
  });
});
