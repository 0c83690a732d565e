/**
 * The TLS connection under a link: 1.3 only, AES-128-GCM first, certificates on both sides, no session tickets. It is
 * made by the engine; here it is decided whom to believe.
 */

import { X509Certificate } from "node:crypto";
import { asFault, Fault } from "../../proto/fault.js";
import { NONE_REVOKED, type Revoked, refuseRevoked } from "../../proto/revocation.js";
import type { Connection, Engine } from "../os/engine.js";
import type { Carrier, Reached } from "./carrier.js";
import { connectionFault } from "./engine-fault.js";
import { peerHostOf } from "./peer-identity.js";

/** PEM texts; read anew for each connection made, so that renewed certificates need no restart. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Certificates that count no more. */
  readonly revoked?: Revoked;
}

export interface Destination {
  readonly address: string;
  readonly port: number;
  /** The host that the peer's certificate must name. */
  readonly expectHost: string;
  readonly tls: () => TlsMaterial;
  /** Straight there when left out. */
  readonly carrier?: Carrier | undefined;
}

/** The host that is at the other end, by its certificate; the chain has been verified by TLS. */
export async function peerHostAt(connection: Connection, own: TlsMaterial): Promise<string> {
  const { subjectAltName, fingerprint256 } = new X509Certificate(await connection.peerCertificate());
  refuseRevoked(fingerprint256, own.revoked ?? NONE_REVOKED);
  return peerHostOf(subjectAltName, own.cert);
}

/** Dials the data port; resolves once the handshake is done and the peer is who it should be. */
export async function dial(
  engine: Engine,
  to: Destination,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Connection> {
  const attempt = `connect to ${to.expectHost} at ${to.address}:${to.port}`;
  const own = to.tls();
  let connection: Connection | undefined;
  let reached: Reached | undefined;
  const cancel = () => connection?.sever();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    reached = await to.carrier?.reach(to, timeoutMs, signal);
    signal.throwIfAborted();
    connection = new engine.Connection(own.ca, own.cert, own.key);
    const { address, port } = reached ?? to;
    await connection.dial(address, port, timeoutMs);
    const host = await peerHostAt(connection, own);
    if (host === to.expectHost) return connection;
    const hosts = { have: host, need: to.expectHost };
    throw new Fault("unauthenticated", "the data port is another host's", hosts);
  } catch (thrown) {
    connection?.sever();
    reached?.release();
    throw signal.aborted ? asFault(signal.reason) : connectionFault(thrown, attempt);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
