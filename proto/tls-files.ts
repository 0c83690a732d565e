/**
 * A certificate, its key and the CA, read from PEM files: whole, or refused with the name of the file at fault.
 *
 * Everything that would otherwise show up as an unexplained handshake failure on another machine is checked here: a
 * file that is missing or unreadable, a key that belongs to another certificate, a certificate of another CA, not
 * yet or no longer valid, or without a Ferry identity.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "./fault.js";
import { type Identity, parseIdentity } from "./identity.js";
import { NONE_REVOKED, type Revoked, readRevoked } from "./revocation.js";

export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** A list of certificates that count no more. */
  readonly revoked?: string | undefined;
}

/** The contents, as PEM. */
export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Who we are, by our own certificate. */
  readonly identity: Identity;
  readonly revoked: Revoked;
}

export function readTlsFiles(paths: TlsPaths, now: Date = new Date()): TlsMaterial {
  const [ca, cert, key] = [readPem(paths.ca), readPem(paths.cert), readPem(paths.key)];
  const certificate = parseCertificate(paths.cert, cert);
  const authorities = splitCertificates(ca).map(pem => parseCertificate(paths.ca, Buffer.from(pem)));
  if (!certificate.checkPrivateKey(parseKey(paths.key, key))) {
    throw refusal(`${paths.key} is not the key of ${paths.cert}`);
  }
  if (
    splitCertificates(cert).length === 1 &&
    !authorities.some(authority => issued(authority, certificate))
  ) {
    const fix = "take the ca.crt that came with it, or have it issued again: ferry pki issue";
    throw refusal(`${paths.cert} was not issued by the CA in ${paths.ca}`, fix);
  }
  if (now < certificate.validFromDate || now > certificate.validToDate) {
    const from = certificate.validFromDate.toISOString();
    throw refusal(
      `${paths.cert} is valid from ${from} to ${certificate.validToDate.toISOString()}, not now`,
      "issue a new certificate with `ferry pki issue --force`, or set the clock",
    );
  }
  const revoked = paths.revoked === undefined ? NONE_REVOKED : readRevoked(paths.revoked);
  if (revoked.has(certificate.fingerprint256)) {
    throw refusal(
      `${paths.cert} has been revoked by ${paths.revoked}`,
      "issue a new one with `ferry pki issue --force`",
    );
  }
  return { ca, cert, key, identity: parseIdentity(certificate.subjectAltName), revoked };
}

/** Every certificate of a PEM file, in its order. */
export function splitCertificates(pem: Buffer | string): string[] {
  return pem.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** True when `authority` is a CA that signed `certificate`. */
export function issued(authority: X509Certificate, certificate: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw refusal(
      `cannot read ${path}: ${message(error)}`,
      "name the files under [tls] in the configuration",
    );
  }
}

function parseCertificate(path: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw refusal(`${path} holds no readable certificate: ${message(error)}`);
  }
}

function parseKey(path: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words could quote the key's contents.
    throw refusal(`${path} holds no readable private key`);
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function refusal(problem: string, fix?: string): Fault {
  return new Fault("invalid-argument", problem, fix === undefined ? {} : { fix });
}
