/** A certificate authority for tests: agents of any trust domain, made in memory. */

// oxlint-disable-next-line import/no-unassigned-import -- x509 wants it loaded before itself
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { TlsMaterial } from "../../../agent/transfer/channel.js";

x509.cryptoProvider.set(webcrypto);
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export interface TestAuthority {
  agent(host: string, domain?: string): Promise<TlsMaterial>;
  /** Valid for an hour from a minute ago on, or from `fromMs` on. */
  withUri(uri: string, fromMs?: number): Promise<TlsMaterial>;
}

const newKeys = async () => await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
const validity = (fromMs = Date.now() - 60_000) => ({
  notBefore: new Date(fromMs),
  notAfter: new Date(fromMs + 3_660_000),
});

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  const lines = der.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

export async function createTestAuthority(): Promise<TestAuthority> {
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Test authority",
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  });
  const ca = authority.toString("pem");
  const withUri = async (uri: string, fromMs?: number): Promise<TlsMaterial> => {
    const own = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString("hex"),
      subject: "CN=agent",
      issuer: authority.subject,
      ...validity(fromMs),
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }])],
    });
    return { ca, cert: certificate.toString("pem"), key: await pemOf(own.privateKey) };
  };
  return { withUri, agent: (host, domain = "test.ferry") => withUri(`spiffe://${domain}/agent/${host}`) };
}
