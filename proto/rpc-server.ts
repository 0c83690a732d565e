/**
 * A gRPC server whose handlers are plain async functions.
 *
 *     createServer({ tls, address, services: [implement(HostServiceService, { listHosts: async (request, caller) => … })] })
 *
 * Unary methods answer a promise; server streams are async generators. Every handler learns who calls, by
 * certificate, and gets a signal that aborts when the caller goes away or its deadline passes. `admit` sees every call first.
 * What a handler throws reaches the client as a Fault; health and reflection are always there.
 */

import { once } from "node:events";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Fault } from "./fault.js";
import { toStatus } from "./fault-info.js";
import { type FrontDoor, openFrontDoor } from "./front-door.js";
import { addHealthAndReflection, type Health } from "./health-and-reflection.js";
import { type Identity, parseIdentity } from "./identity.js";
import { type ListenerLimits, RPC_LIMITS } from "./listener-limits.js";
import { refuseRevoked } from "./revocation.js";
import type { Method } from "./rpc-client.js";
import { serverOptions } from "./rpc-options.js";
import type { TlsSource } from "./tls-source.js";

export interface Caller {
  readonly identity: Identity;
  /** `/ferry.v1.ServerService/MigrateServer` */
  readonly path: string;
  readonly signal: AbortSignal;
  /** Under which the call's actions can be found again; the callee makes one up when there is none. */
  readonly requestId?: string;
}

type Handler<M> =
  M extends Method<infer Request, infer Response, true>
    ? (request: Request, caller: Caller) => AsyncIterable<Response>
    : M extends Method<infer Request, infer Response, false>
      ? (request: Request, caller: Caller) => Promise<Response>
      : never;

/** What a service's generated definition asks to be written. */
export type Handlers<Definition> = { readonly [Name in keyof Definition]: Handler<Definition[Name]> };

export interface ServiceImplementation {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, UntypedHandler>>;
}

type UntypedHandler = (request: unknown, caller: Caller) => Promise<unknown> | AsyncIterable<unknown>;

export interface ServerOptions {
  readonly tls: TlsSource;
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  readonly services: readonly ServiceImplementation[];
  /** Throws a fault to refuse a call before its handler runs. */
  readonly admit?: (caller: Caller) => void;
  /** Told what a handler threw, after it was sent: bugs should end the process, faults may be logged. */
  readonly onFailure?: (thrown: unknown, caller: Caller) => void;
  readonly maxConnectionAgeMs?: number;
  readonly limits?: ListenerLimits;
}

export interface RunningServer {
  readonly port: number;
  readonly health: Health;
  /** Refuses new calls, lets running ones finish for so long, then cancels them. */
  close(graceMs?: number): Promise<void>;
}

export function implement<Definition>(
  definition: Definition,
  handlers: Handlers<Definition>,
): ServiceImplementation {
  // The pairing is checked by the signature; grpc-js itself only takes untyped ones.
  return { definition, handlers } as unknown as ServiceImplementation;
}

export async function createServer(options: ServerOptions): Promise<RunningServer> {
  const server = new Server(serverOptions(options.maxConnectionAgeMs, options.limits));
  for (const { definition, handlers } of options.services) {
    server.addService(withoutSerialization(definition), adaptService(definition, handlers, options));
  }
  const health = addHealthAndReflection(
    server,
    options.services.map(({ definition }) => serviceName(definition)),
  );
  const door = await listen(server, options);
  return { port: door.port, health, close: graceMs => close({ server, health, door }, graceMs) };
}

function serviceName(definition: ServiceDefinition): string {
  const [, name = ""] = Object.values(definition)[0]?.path.split("/") ?? [];
  return name;
}

/**
 * Answers are encoded beside the handler that made them, so that one that cannot be encoded is that handler's defect
 * at both ends; grpc-js would end the call in a way that looks like a lost connection.
 */
function withoutSerialization(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    { ...method, responseSerialize: (encoded: Buffer) => encoded },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

type Encode = (message: unknown) => Buffer;

function adaptService(
  definition: ServiceDefinition,
  handlers: ServiceImplementation["handlers"],
  options: ServerOptions,
): UntypedServiceImplementation {
  const adapted = Object.entries(definition).map(([name, method]) => {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`no handler for ${method.path}`);
    const adapt = method.responseStream ? serverStream : unary;
    return [name, adapt(handler, method.responseSerialize, options)] as const;
  });
  return Object.fromEntries(adapted);
}

function unary(
  handler: UntypedHandler,
  encode: Encode,
  options: ServerOptions,
): handleUnaryCall<unknown, unknown> {
  return (incoming, answer) => {
    const run = async (caller: Caller) => encode(await handler(incoming.request, caller));
    attempt(incoming, options, run).then(
      response => answer(null, response),
      (thrown: unknown) => answer(toStatus(thrown)),
    );
  };
}

function serverStream(
  handler: UntypedHandler,
  encode: Encode,
  options: ServerOptions,
): handleServerStreamingCall<unknown, unknown> {
  return outgoing => {
    const run = async (caller: Caller) => {
      const messages = handler(outgoing.request, caller) as AsyncIterable<unknown>;
      await send(outgoing, messages, encode, caller.signal);
    };
    attempt(outgoing, options, run).then(
      () => outgoing.end(),
      (thrown: unknown) => outgoing.emit("error", toStatus(thrown)),
    );
  };
}

async function send(
  outgoing: ServerWritableStream<unknown, unknown>,
  messages: AsyncIterable<unknown>,
  encode: Encode,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    if (!outgoing.write(encode(message))) await once(outgoing, "drain", { signal });
  }
}

type Incoming = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

async function attempt<Result>(
  incoming: Incoming,
  { tls, admit, onFailure }: ServerOptions,
  run: (caller: Caller) => Promise<Result>,
): Promise<Result> {
  const gone = new AbortController();
  incoming.on("cancelled", () => gone.abort(new Fault("cancelled", "the caller went away")));
  const { sslPeerCertificate } = incoming.getAuthContext();
  const identity = parseIdentity(sslPeerCertificate?.subjectaltname, tls.material.identity.domain);
  // At each call: a connection may be older than the list.
  refuseRevoked(sslPeerCertificate?.fingerprint256, tls.material.revoked);
  const caller: Caller = { identity, path: incoming.getPath(), signal: gone.signal };
  try {
    admit?.(caller);
    return await run(caller);
  } catch (thrown) {
    if (!gone.signal.aborted) onFailure?.(thrown, caller);
    throw thrown;
  }
}

async function listen(
  server: Server,
  { tls, address, limits = RPC_LIMITS }: ServerOptions,
): Promise<FrontDoor> {
  const inside = server.createConnectionInjector(tls.serverCredentials(limits.handshakeMs));
  try {
    return await openFrontDoor(address, limits, socket => inside.injectConnection(socket));
  } catch (error) {
    inside.destroy();
    const fix = "choose another listen address, or stop what uses this one";
    const message = `listen on ${address}: ${(error as Error).message}`;
    throw new Fault("failed", message, { fix }, { cause: error });
  }
}

interface Running {
  readonly server: Server;
  readonly health: Health;
  readonly door: FrontDoor;
}

async function close({ server, health, door }: Running, graceMs = 0): Promise<void> {
  health.setServing(false);
  door.shut();
  await new Promise<void>(resolve => {
    const force = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
  // Those that were not far enough to be a client.
  door.clear();
}
