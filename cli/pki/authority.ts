/**
 * A certificate authority for fleets that have none: a CA, and certificates whose URI names are Ferry identities.
 *
 * Pure of files: keys and certificates go in and out as PEM. ECDSA P-256 throughout. Certificates serve at both ends
 * of a connection, because an agent is a server to the controller and a client of its heartbeats.
 */

// x509 throws unless this was loaded before it.
// oxlint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { Fault } from "../../proto/fault.js";
import { type Identity, identityLabel, identityUris, isIdentityDomain } from "../../proto/identity.js";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Clocks of a fleet differ; a certificate made this minute has to work on all of them. */
const BACKDATE_MS = 3_600_000;
const CA_DAYS = 3650;

export interface Pair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface IssueRequest {
  readonly identity: Identity;
  /** DNS names and IP addresses under which it is reached. */
  readonly addresses: readonly string[];
  readonly days: number;
  readonly now?: Date;
}

export async function createAuthority(domain: string, now = new Date()): Promise<Pair> {
  if (!isIdentityDomain(domain)) {
    throw new Fault("invalid-argument", `${JSON.stringify(domain)} is not a domain`, {
      need: "e.g. ferry, or ferry.example.org",
    });
  }
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...period(now, CA_DAYS),
    serialNumber: serialNumber(),
    name: `CN=Ferry CA ${domain}`,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${domain}` }]),
    ],
  });
  return { certPem: pemFile(certificate.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/** The domain that a CA made by `createAuthority` issues for. */
export function authorityDomain(certPem: string): string {
  const names = new x509.X509Certificate(certPem).getExtension(x509.SubjectAlternativeNameExtension);
  const uri = names?.names.items.find(({ type }) => type === "url")?.value ?? "";
  const domain = /^spiffe:\/\/([^/]+)$/.exec(uri)?.[1];
  if (domain === undefined)
    throw new Fault("refused", "this CA was not made by `ferry pki init`: it names no domain");
  return domain;
}

export async function issueCertificate(authority: Pair, request: IssueRequest): Promise<Pair> {
  const { identity, addresses, days, now = new Date() } = request;
  const ca = new x509.X509Certificate(authority.certPem);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const { notBefore, notAfter } = period(now, days);
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore,
    // A certificate that outlives its CA would fail without a visible reason.
    notAfter: notAfter < ca.notAfter ? notAfter : ca.notAfter,
    serialNumber: serialNumber(),
    subject: `CN=${identityLabel(identity)}`,
    issuer: ca.subject,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(identity, addresses)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
    ],
  });
  return { certPem: pemFile(certificate.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

function alternativeNames(identity: Identity, addresses: readonly string[]): x509.JsonGeneralNames {
  const uris = identityUris(identity).map(value => ({ type: "url" as const, value }));
  return [...uris, ...addresses.map(addressName)];
}

const DNS_NAME = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*$/;

function addressName(address: string): x509.JsonGeneralName {
  if (isIP(address) !== 0) return { type: "ip", value: address };
  if (DNS_NAME.test(address)) return { type: "dns", value: address };
  throw new Fault("invalid-argument", `${JSON.stringify(address)} is neither a DNS name nor an IP address`, {
    need: "the bare name or address, without a port",
  });
}

function period(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
  };
}

/** Positive and of full length, as RFC 5280 wants it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return pemFile(x509.PemConverter.encode(der, x509.PemConverter.PrivateKeyTag));
}

async function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(keyPem);
  if (der === undefined) throw new Fault("invalid-argument", "the CA's key file holds no key");
  return await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

const pemFile = (pem: string): string => `${pem.trimEnd()}\n`;
