/** One command's connection to the controller: made with the first call, closed by the runner. */

import type { Client } from "@grpc/grpc-js";
import { type CallOptions, call, createClient, type Method, stream } from "../proto/rpc-client.js";
import { TlsSource } from "../proto/tls-source.js";
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
