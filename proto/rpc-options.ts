/** Limits and timers of every gRPC channel in Ferry, the same at both ends. */

import type { ChannelOptions, ServerOptions } from "@grpc/grpc-js";
import { RPC_LIMITS } from "./listener-limits.js";
import { limitRequests } from "./request-limit.js";

/** Domain XML and heartbeats of a thousand servers fit well; disk data does not travel here. */
const MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024;

/** A connection outlives a renewed certificate by at most this; running calls are allowed to finish. */
const CONNECTION_AGE_MS = 60 * 60_000;

/** How long a call without a deadline of its own may take. */
export const DEFAULT_DEADLINE_MS = 30_000;

const COMMON: ChannelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
  "grpc.max_send_message_length": MESSAGE_LIMIT_BYTES,
};

export const CLIENT_OPTIONS: ChannelOptions = {
  ...COMMON,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 5_000,
};

export const serverOptions = (
  maxConnectionAgeMs = CONNECTION_AGE_MS,
  { streams, silenceMs, pongMs, requestMs } = RPC_LIMITS,
): ServerOptions => ({
  ...COMMON,
  "grpc.keepalive_time_ms": silenceMs,
  "grpc.keepalive_timeout_ms": pongMs,
  "grpc.max_connection_age_ms": maxConnectionAgeMs,
  "grpc.max_concurrent_streams": streams,
  interceptors: [limitRequests(requestMs)],
});
