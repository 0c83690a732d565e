/**
 * Stands for `proto/rpc-client.ts`: calls through the simulated network. Requests and answers are encoded and decoded
 * as on the wire, both ends know each other by certificate, and faults travel as statuses.
 *
 *   request ──▶ handler ──▶ answer …      each message may be late, held, repeated (requests only) or lost; then the
 *                                         caller sees `unreachable`, and the handler that its caller is gone
 */

import type { Client } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { Fault } from "../../../proto/fault.js";
import { fromStatus, toStatus } from "../../../proto/fault-info.js";
import { identityLabel } from "../../../proto/identity.js";
import type { CallOptions, ExpectedPeer, Method } from "../../../proto/rpc-client.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import type { Machine } from "../world/machine.js";
import type { Connection, Intercepted } from "../world/network.js";
import { type Process, stepNow } from "../world/process.js";
import type { SimulatedServer } from "./rpc-server.js";

export type * from "../../../proto/rpc-client.js";

const DEFAULT_DEADLINE_MS = 30_000;

interface SimulatedClient {
  readonly address: string;
  readonly tls: TlsSource;
  readonly expect: ExpectedPeer;
  close(): void;
}

export function createClient(address: string, tls: TlsSource, expect: ExpectedPeer): Client {
  const client: SimulatedClient = { address, tls, expect, close: () => {} };
  return client as unknown as Client;
}

interface AnyMethod {
  readonly path: string;
  readonly requestSerialize: (value: never) => Buffer;
}

/** What the client's end gets of one call. */
interface Receiver {
  next(bytes: Buffer): void;
  end(): void;
  fail(error: unknown): void;
}

class Exchange implements Connection {
  readonly from: Machine;
  readonly to: Machine;
  readonly #client: Process;
  readonly #method: AnyMethod;
  readonly #address: string;
  readonly #caller: SimulatedClient;
  readonly #receiver: Receiver;
  readonly #gone = new AbortController();
  #server: SimulatedServer | undefined;
  #isOver = false;
  #lastAnswerMs = 0;
  #packet: { readonly sentMs: number; readonly parts: (() => void)[] } | undefined;
  readonly #clientDied = () => this.#hangUp();
  readonly #serverDied = () => this.#fromServer(() => this.lose("connection reset"));

  constructor(client: Process, to: Machine, caller: SimulatedClient, method: AnyMethod, receiver: Receiver) {
    this.#client = client;
    this.from = client.machine;
    this.to = to;
    this.#caller = caller;
    this.#address = caller.address;
    this.#method = method;
    this.#receiver = receiver;
    client.onDeath.add(this.#clientDied);
    this.from.world.network.open(this);
  }

  start(request: Buffer): void {
    const { network } = this.from.world;
    if (network.intercept(this.#open(request))) return;
    const arrive = () => this.#arrive(request, true);
    network.send(this.from, this.to, arrive, () => this.lose("connection reset"));
    // A proxy, or a client that tries again by itself: the same words once more, whose answers nobody reads.
    network.perhapsRepeat(this.from, this.to, () => this.#arrive(request, false));
  }

  #open(request: Buffer): Intercepted {
    const { from, to } = this;
    return {
      from,
      to,
      path: this.#method.path,
      body: request,
      arrive: isAnswered => this.#arrive(request, isAnswered),
      lose: why => this.lose(why),
    };
  }

  /** The client does not want to know any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#over();
    this.#hangUp();
  }

  /** Each end is told as far as it can be reached. */
  lose(why: string): void {
    this.#server?.process.enter(() => this.#gone.abort(new Fault("cancelled", "the caller went away")));
    this.#fail(status.UNAVAILABLE, why);
  }

  #hangUp(): void {
    const tell = () =>
      this.#server?.process.enter(() => this.#gone.abort(new Fault("cancelled", "the caller went away")));
    this.from.world.network.send(this.from, this.to, tell, tell);
  }

  #arrive(request: Buffer, isAnswered: boolean): void {
    const server = this.from.world.network.at<SimulatedServer>(this.#address);
    if (!this.to.isUp) this.lose("no route to host");
    else if (server === undefined) this.#fromServer(() => this.lose("connection refused"));
    else if (!this.#isMeant(server)) this.#fromServer(() => this.#fail(status.UNAVAILABLE, otherOne(server)));
    else {
      if (isAnswered) this.#server = server;
      if (isAnswered) server.process.onDeath.add(this.#serverDied);
      server.process.enter(() => void this.#serve(server, request, isAnswered));
    }
  }

  #isMeant({ identity }: SimulatedServer): boolean {
    const { kind, name } = this.#caller.expect;
    return identity.kind === kind && identity.name === (name ?? identity.name);
  }

  async #serve(server: SimulatedServer, request: Buffer, isAnswered: boolean): Promise<void> {
    const signal = isAnswered ? this.#gone.signal : new AbortController().signal;
    const caller = { identity: this.#caller.tls.material.identity, path: this.#method.path, signal };
    const answer = (bytes: Buffer) => {
      if (isAnswered) this.#fromServer(() => this.#receive(() => this.#receiver.next(bytes)));
    };
    try {
      await server.serve(this.#method.path, request, caller, answer);
      if (isAnswered) this.#fromServer(() => this.#receive(() => this.#over() && this.#receiver.end()));
    } catch (thrown) {
      const { code, details, metadata } = toStatus(thrown);
      if (isAnswered && server.process.state !== "dead")
        this.#fromServer(() => this.#fail(code, details, metadata));
    }
  }

  /** In the order in which they were sent; what is sent at one moment travels together. */
  #fromServer(deliver: () => void): void {
    const { network, time } = this.from.world;
    if (this.#packet?.sentMs === time.nowMs) {
      this.#packet.parts.push(deliver);
      return;
    }
    const packet = { sentMs: time.nowMs, parts: [deliver] };
    this.#packet = packet;
    const arrive = () => {
      for (const part of packet.parts) part();
    };
    const lose = () => this.lose("connection reset");
    this.#lastAnswerMs = network.send(this.to, this.from, arrive, lose, this.#lastAnswerMs);
  }

  #receive(body: () => void): void {
    this.#client.enter(() => {
      if (!this.#isOver) body();
    });
  }

  #fail(code: number, details: string, metadata?: unknown): void {
    const attempt = `${this.#method.path.split("/").at(-1)} at ${this.#address}`;
    const error = Object.assign(new Error(details), { code, details, metadata });
    this.#receive(() => {
      this.#over();
      this.#receiver.fail(fromStatus(error as never, attempt));
    });
  }

  #over(): true {
    this.#isOver = true;
    this.#client.onDeath.delete(this.#clientDied);
    this.#server?.process.onDeath.delete(this.#serverDied);
    this.from.world.network.close(this);
    return true;
  }

  expire(): void {
    if (this.#isOver) return;
    this.#hangUp();
    this.#fail(status.DEADLINE_EXCEEDED, "Deadline exceeded");
  }
}

const otherOne = ({ identity }: SimulatedServer): string =>
  `the server's certificate is of ${identityLabel(identity)}`;

function begin<Request>(
  client: Client,
  method: AnyMethod,
  request: Request,
  receiver: Receiver,
  deadlineMs: number | undefined,
): { exchange: Exchange; stopClock: () => void } {
  const process = stepNow();
  const { world } = process.machine;
  const caller = client as unknown as SimulatedClient;
  const to = world.machine(caller.address.split(":")[0] ?? "");
  const exchange = new Exchange(process, to, caller, method, receiver);
  const stopClock =
    deadlineMs === undefined ? () => {} : world.time.after(deadlineMs, process, () => exchange.expire());
  exchange.start(method.requestSerialize(request as never));
  return { exchange, stopClock };
}

const cancelled = ({ path }: AnyMethod, { reason }: AbortSignal): Fault =>
  reason instanceof Fault ? reason : new Fault("cancelled", `${path.split("/").at(-1)}: cancelled`);

export function call<Request, Response>(
  client: Client,
  method: Method<Request, Response, false>,
  request: Request,
  { deadlineMs = DEFAULT_DEADLINE_MS, signal }: CallOptions = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(method, signal));
    let answer: Response | undefined;
    const settle = (body: () => void) => {
      stopClock();
      signal?.removeEventListener("abort", cancel);
      body();
    };
    const receiver: Receiver = {
      next: bytes => {
        answer = method.responseDeserialize(bytes);
      },
      end: () => settle(() => resolve(answer as Response)),
      fail: error => settle(() => reject(error)),
    };
    const { exchange, stopClock } = begin(client, method, request, receiver, deadlineMs);
    const cancel = () => {
      exchange.cancel();
      settle(() => reject(cancelled(method, signal as AbortSignal)));
    };
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

export async function* stream<Request, Response>(
  client: Client,
  method: Method<Request, Response, true>,
  request: Request,
  { deadlineMs, signal }: CallOptions = {},
): AsyncGenerator<Response, void, undefined> {
  if (signal?.aborted) throw cancelled(method, signal);
  const queue: Response[] = [];
  let isEnded = false;
  let failure: unknown;
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const finish = (error?: unknown) => {
    isEnded = true;
    failure = error;
    wake();
  };
  const receiver: Receiver = {
    next: bytes => {
      queue.push(method.responseDeserialize(bytes));
      wake();
    },
    end: () => finish(),
    fail: error => finish(error),
  };
  const { exchange, stopClock } = begin(client, method, request, receiver, deadlineMs);
  const cancel = () => finish(cancelled(method, signal as AbortSignal));
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      const message = queue.shift();
      if (message !== undefined) yield message;
      else if (!isEnded) await changed.promise;
      else if (failure !== undefined) throw failure;
      else return;
    }
  } finally {
    stopClock();
    signal?.removeEventListener("abort", cancel);
    exchange.cancel();
  }
}
