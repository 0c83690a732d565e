/** One command's connection to the controller: made with the first call, closed by the runner. */

import { randomUUID } from "node:crypto";
import type { Client } from "@grpc/grpc-js";
import { type CallOptions, call, createClient, type Method, stream } from "../proto/rpc-client.js";
import { DEFAULT_DEADLINE_MS } from "../proto/rpc-options.js";
import { TlsSource } from "../proto/tls-source.js";
import { askOnce } from "./ask-once.js";
import { type ConfigChoice, loadConfig } from "./config.js";
import type { Output } from "./output/output.js";
import type { Shell } from "./shell.js";

export interface SessionOptions extends ConfigChoice {
  /** Given by the user for every call; overrides what a command thinks sensible. */
  readonly timeoutMs?: number;
}

export class Session {
  readonly shell: Shell;
  readonly output: Output;
  readonly #options: SessionOptions;
  #client: Client | undefined;

  constructor(shell: Shell, output: Output, options: SessionOptions) {
    this.shell = shell;
    this.output = output;
    this.#options = options;
  }

  /** `usualMs` is how long this call may reasonably take, when not 30 s. */
  async call<Request, Response>(
    method: Method<Request, Response, false>,
    request: Request,
    usualMs?: number,
  ): Promise<Response> {
    const deadlineMs = this.#options.timeoutMs ?? usualMs;
    return await call(this.#connect(), method, request, {
      signal: this.shell.interrupted,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
  }

  /** What changes something and may be asked again: it is carried out once, however often the connection breaks. */
  async change<Request extends { requestId?: string | undefined }, Response>(
    method: Method<Request, Response, false>,
    request: Request,
    usualMs = DEFAULT_DEADLINE_MS,
  ): Promise<Response> {
    const requestId = randomUUID();
    return await askOnce(this.shell, {
      limitMs: this.#options.timeoutMs ?? usualMs,
      attempt: leftMs =>
        call(
          this.#connect(),
          method,
          { ...request, requestId },
          { signal: this.shell.interrupted, deadlineMs: leftMs },
        ),
      fix: `it may have been begun: look for req-${requestId} in ferry server events`,
    });
  }

  stream<Request, Response>(
    method: Method<Request, Response, true>,
    request: Request,
    options: CallOptions = {},
  ): AsyncIterable<Response> {
    return stream(this.#connect(), method, request, { signal: this.shell.interrupted, ...options });
  }

  close(): void {
    this.#client?.close();
  }

  #connect(): Client {
    if (this.#client === undefined) {
      const { controller, tls } = loadConfig(this.#options, this.shell);
      this.#client = createClient(controller, new TlsSource(tls), { kind: "controller" });
    }
    return this.#client;
  }
}
