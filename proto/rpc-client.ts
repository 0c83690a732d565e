/**
 * Calls as promises and server streams as async iterables.
 *
 * One client is one channel to one server; every service of that server is called through it by the method's
 * generated definition: `call(client, HostServiceService.listHosts, {})`. The server is known by the identity in
 * its certificate, not by the name it was dialled under, so that a host cannot speak for another one whatever DNS says.
 * What fails is thrown as the `Fault` that the handler threw.
 */

import { isIP } from "node:net";
import type { PeerCertificate } from "node:tls";
import {
  type ChannelOptions,
  Client,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { Fault } from "./fault.js";
import { fromStatus } from "./fault-info.js";
import { type IdentityKind, identityLabel, parseIdentity } from "./identity.js";
import { refuseRevoked } from "./revocation.js";
import { CLIENT_OPTIONS, DEFAULT_DEADLINE_MS } from "./rpc-options.js";
import { parseServerAddress } from "./server-address.js";
import type { TlsMaterial } from "./tls-files.js";
import type { TlsSource } from "./tls-source.js";

/** A generated method definition, as `call` and `stream` need it. */
export interface Method<Request, Response, Streams extends boolean> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: Streams;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

/** Whom we mean to reach; without a name, any of that kind. */
export interface ExpectedPeer {
  readonly kind: IdentityKind;
  readonly name?: string;
}

export interface CallOptions {
  /** Counted from now, connection included. 30 s for calls; none for streams. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** `address` is `host:port`. Connects with the first call, and again whenever needed. */
export function createClient(address: string, tls: TlsSource, expect: ExpectedPeer): Client {
  const credentials = tls.channelCredentials({
    checkServerIdentity: (_hostname, certificate) => peerProblem(certificate, expect, tls.material),
  });
  return new Client(address, credentials, { ...CLIENT_OPTIONS, ...serverNameOption(address, expect) });
}

/** TLS server names must not be IP addresses (RFC 6066); Node complains about each. */
function serverNameOption(address: string, { kind, name }: ExpectedPeer): ChannelOptions {
  const { host } = parseServerAddress(address, 0);
  return isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": name ?? kind };
}

export function call<Request, Response>(
  client: Client,
  method: Method<Request, Response, false>,
  request: Request,
  { deadlineMs = DEFAULT_DEADLINE_MS, signal }: CallOptions = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(method, signal));
    const running = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, response) => {
        signal?.removeEventListener("abort", cancel);
        if (error === null && response !== undefined) return resolve(response);
        reject(error === null ? new Fault("internal", `${method.path} answered nothing`) : failure(error));
      },
    );
    const cancel = () => running.cancel();
    const failure = (error: ServiceError) => faultOf(client, method, error, signal);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

/** Leaving the loop cancels the stream. */
export async function* stream<Request, Response>(
  client: Client,
  method: Method<Request, Response, true>,
  request: Request,
  { deadlineMs, signal }: CallOptions = {},
): AsyncGenerator<Response, void, undefined> {
  if (signal?.aborted) throw cancelled(method, signal);
  const running: ClientReadableStream<Response> = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    new Metadata(),
    deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
  );
  const cancel = () => running.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of running) yield message as Response;
  } catch (error) {
    throw faultOf(client, method, error as ServiceError, signal);
  } finally {
    signal?.removeEventListener("abort", cancel);
    running.cancel();
  }
}

type AnyMethod = Pick<Method<never, unknown, boolean>, "path">;

/** `/ferry.v1.HostService/ListHosts` → `ListHosts`. */
const methodName = ({ path }: AnyMethod): string => path.slice(path.lastIndexOf("/") + 1);

function faultOf(
  client: Client,
  method: AnyMethod,
  error: ServiceError,
  signal: AbortSignal | undefined,
): Fault {
  if (signal?.aborted) return cancelled(method, signal);
  const target = client.getChannel().getTarget().replace(/^\w+:/, "");
  return fromStatus(error, `${methodName(method)} at ${target}`);
}

/** A signal that was aborted with a fault says what its owner meant; any other reason is a plain cancel. */
function cancelled(method: AnyMethod, { reason }: AbortSignal): Fault {
  return reason instanceof Fault ? reason : new Fault("cancelled", `${methodName(method)}: cancelled`);
}

function peerProblem(
  { subjectaltname, fingerprint256 }: PeerCertificate,
  expect: ExpectedPeer,
  own: TlsMaterial,
): Error | undefined {
  try {
    refuseRevoked(fingerprint256, own.revoked);
    const peer = parseIdentity(subjectaltname, own.identity.domain);
    if (peer.kind === expect.kind && peer.name === (expect.name ?? peer.name)) return undefined;
    const wanted = identityLabel({ kind: expect.kind, name: expect.name ?? "…" });
    return new Error(`the server's certificate is of ${identityLabel(peer)}, not ${wanted}`);
  } catch (error) {
    return error as Error;
  }
}
