/**
 * Who is at the other end of a TLS connection: the host named by its certificate's URI SAN.
 *
 * `spiffe://<domain>/agent/<host>`, exactly one URI, in the same trust domain as our own certificate. That the chain
 * leads to our CA was verified by TLS before anything here is asked.
 */

import { X509Certificate } from "node:crypto";
import { Fault } from "../../proto/fault.js";

const AGENT_URI = /^spiffe:\/\/([A-Za-z0-9.-]+)\/agent\/([A-Za-z0-9._-]+)$/;

export interface AgentIdentity {
  readonly domain: string;
  readonly host: string;
}

/** `subjectAltName` as Node prints it; an entry that Node had to quote is refused, not parsed. */
export function parseAgentIdentity(subjectAltName: string | undefined): AgentIdentity {
  const refuse = (why: string) => new Fault("unauthenticated", `certificate is not an agent's: ${why}`);
  if (subjectAltName === undefined) throw refuse("no subject alternative name");
  if (subjectAltName.includes('"')) throw refuse("quoted subject alternative name");
  const uris = subjectAltName.split(", ").filter(entry => entry.startsWith("URI:"));
  if (uris.length !== 1) throw refuse(`${uris.length} URI names`);
  const match = AGENT_URI.exec(uris[0]?.slice("URI:".length) ?? "");
  if (match?.[1] === undefined || match[2] === undefined) throw refuse(uris.join());
  return { domain: match[1], host: match[2] };
}

/** The host of a peer's certificate, which must belong to the trust domain of our own (PEM). */
export function peerHostOf(subjectAltName: string | undefined, ownCertificatePem: string): string {
  const own = parseAgentIdentity(new X509Certificate(ownCertificatePem).subjectAltName);
  const peer = parseAgentIdentity(subjectAltName);
  if (peer.domain === own.domain) return peer.host;
  throw new Fault("unauthenticated", `agent ${peer.host} is of another trust domain`, {
    have: peer.domain,
    need: own.domain,
  });
}
