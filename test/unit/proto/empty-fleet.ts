/** A gRPC service to call in tests of who may connect: it has no hosts. And what is asked of its port from outside. */

import { expect } from "vitest";
import { Fault } from "../../../proto/fault.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { call, createClient } from "../../../proto/rpc-client.js";
import { implement } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";

type Calls = Parameters<typeof implement<typeof HostServiceService>>[1];

/** `changes`: what is not answered with "unsupported", or by an empty list. */
export function emptyFleet(changes: Partial<Calls> = {}) {
  const unsupported = () => Promise.reject(new Fault("unsupported", "-"));
  return implement(HostServiceService, {
    listHosts: async () => ({ hosts: [] }),
    showHost: unsupported,
    setHostStatus: unsupported,
    forceHostDown: unsupported,
    ...changes,
  });
}

/** By a connection of its own, in time. */
export async function expectServed(port: number, user: TlsSource, deadlineMs = 5_000): Promise<void> {
  const client = createClient(`127.0.0.1:${port}`, user, { kind: "controller" });
  try {
    expect(await call(client, HostServiceService.listHosts, {}, { deadlineMs })).toEqual({ hosts: [] });
  } finally {
    client.close();
  }
}

/** Closed by the other side, in good order or by a reset. */
export const expectClosed = (sockets: readonly { readonly closed: boolean }[], timeout = 5_000) =>
  expect.poll(() => sockets.every(({ closed }) => closed), { timeout }).toBe(true);
