/**
 * TLS as the data plane wants it: 1.3 only, AES-128-GCM first, certificates on both sides, no session tickets.
 *
 * A ticket would let a peer come back without showing its certificate again, so there are none.
 */

import { constants } from "node:crypto";
import { connect, type SecureContextOptions, type TLSSocket } from "node:tls";
import { Fault } from "../../proto/fault.js";
import { peerHostOf } from "./peer-identity.js";

/** PEM texts; read anew for each connection made, so that renewed certificates need no restart. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const secureContextOf = (material: TlsMaterial): SecureContextOptions => ({
  ca: material.ca,
  cert: material.cert,
  key: material.key,
  minVersion: "TLSv1.3",
  ciphers: "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
  secureOptions: constants.SSL_OP_NO_TICKET,
});

/** Bytes that both ends of this very connection know and nobody else. */
export const channelBindingOf = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(32, "EXPORTER-ferry-transfer", Buffer.alloc(0));

export interface Destination {
  readonly address: string;
  readonly port: number;
  /** The host that the peer's certificate must name. */
  readonly expectHost: string;
  readonly tls: () => TlsMaterial;
}

/** The connection did not come to be or was lost: its effect is unknown, trying again may help. */
export class ConnectionLost extends Fault {}

/** What a failed socket means: the peer refused who we are, or there is nobody to talk to. */
export function connectionFault(thrown: unknown, attempt: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const isIdentity = /^(ERR_TLS_CERT|ERR_SSL_.*(ALERT|CERT)|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(
    code,
  );
  const message = `${attempt}: ${error.message}`;
  if (isIdentity) return new Fault("unauthenticated", message, {}, { cause: error });
  return new ConnectionLost("unreachable", message, {}, { cause: error });
}

/** Dials the data port; resolves once the handshake is done and the peer is who it should be. */
export function dial(to: Destination, timeoutMs: number, signal: AbortSignal): Promise<TLSSocket> {
  const material = to.tls();
  const attempt = `connect to ${to.expectHost} at ${to.address}:${to.port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...secureContextOf(material),
      host: to.address,
      port: to.port,
      checkServerIdentity: (_name, certificate) =>
        wrongHost(certificate.subjectaltname, material, to.expectHost),
    });
    const giveUp = (fault: unknown) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      socket.on("error", () => {}).destroy();
      reject(connectionFault(fault, attempt));
    };
    const cancel = () => giveUp(signal.reason);
    const timer = setTimeout(() => giveUp(new ConnectionLost("timeout", `${attempt}: no answer`)), timeoutMs);
    socket.once("error", giveUp);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      socket.off("error", giveUp);
      socket.setNoDelay(true);
      resolve(socket);
    });
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
  });
}

function wrongHost(
  subjectAltName: string | undefined,
  own: TlsMaterial,
  expected: string,
): Error | undefined {
  try {
    const host = peerHostOf(subjectAltName, own.cert);
    if (host === expected) return undefined;
    return new Fault("unauthenticated", "the data port is another host's", { have: host, need: expected });
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}
