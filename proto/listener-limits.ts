/**
 * How much whoever connects may take, before and after it has said anything: a connection that keeps to no limit is closed,
 * so that the others are served. The same for every port; the data port has its own (agent/transfer/target.ts).
 */

import type { Server } from "node:net";

export interface ListenerLimits {
  /** From the connection to the end of the TLS handshake. */
  readonly handshakeMs: number;
  /** From the connection, or the request before, to the end of a request's headers. */
  readonly headersMs: number;
  /** To the end of a request's body; of gRPC also for its answer to be taken. */
  readonly requestMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  readonly connections: number;
  /** Of gRPC, from one address. */
  readonly connectionsOfPeer: number;
  /** Calls at a time on one connection of gRPC; what is more waits. */
  readonly streams: number;
  /** How long one of gRPC may say nothing before it is pinged, … */
  readonly silenceMs: number;
  /** … and how long it may take to answer that. */
  readonly pongMs: number;
}

export const LISTENER_LIMITS: ListenerLimits = {
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 60_000,
  idleMs: 30_000,
  connections: 1_024,
  connectionsOfPeer: 256,
  streams: 1_000,
  silenceMs: 10_000,
  pongMs: 5_000,
};

/** Every host of a large fleet holds a connection to the controller. */
export const RPC_LIMITS: ListenerLimits = { ...LISTENER_LIMITS, connections: 4_096 };

/** For `createServer` of node:http; Node itself looks only every 30 s. */
export const httpLimits = ({ headersMs, requestMs, idleMs }: ListenerLimits) => ({
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  keepAliveTimeout: idleMs,
  connectionsCheckingInterval: Math.min(1_000, headersMs / 2),
});

/** For `createServer` of node:https. */
export const httpsLimits = (limits: ListenerLimits) => ({
  ...httpLimits(limits),
  handshakeTimeout: limits.handshakeMs,
});

export function limitConnections(server: Server, { connections }: ListenerLimits): void {
  server.maxConnections = connections;
}
