/**
 * A controller for the command line's tests: the real server and real mutual TLS on loopback, with answers that the
 * test puts in. What it is not told to answer, it refuses.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach } from "vitest";
import { Fault } from "../../../proto/fault.js";
import {
  FlavorServiceService,
  HostServiceService,
  MigrationServiceService,
  ServerServiceService,
} from "../../../proto/gen/ferry/v1/controller.js";
import { EventServiceService } from "../../../proto/gen/ferry/v1/event.js";
import {
  AggregateServiceService,
  PlacementServiceService,
  PolicyServiceService,
  ServerGroupServiceService,
} from "../../../proto/gen/ferry/v1/placement.js";
import { createServer, type Handlers, implement, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "../proto/certificates.js";
import { type FakeShellOptions, type Ran, run } from "./shell.js";

type Methods = typeof HostServiceService &
  typeof AggregateServiceService &
  typeof ServerGroupServiceService &
  typeof PlacementServiceService &
  typeof PolicyServiceService &
  typeof FlavorServiceService &
  typeof ServerServiceService &
  typeof EventServiceService &
  typeof MigrationServiceService;

export type Answers = { -readonly [Name in keyof Methods]?: Handlers<Methods>[Name] };

export class FakeController implements AsyncDisposable {
  readonly #certificates: Certificates;
  readonly #tls: TlsSource;
  readonly #config: string;
  #server: RunningServer;
  /** By method name; changed by the tests. */
  answers: Answers = {};
  /** Every request in order, with the method's name. */
  readonly requests: { readonly method: string; readonly request: unknown }[] = [];

  private constructor(certificates: Certificates, tls: TlsSource, config: string, server: RunningServer) {
    this.#certificates = certificates;
    this.#tls = tls;
    this.#config = config;
    this.#server = server;
  }

  /** One for all tests of a file, which awaits it at its top; each test begins with nothing asked and no answers. */
  static async forThisFile(): Promise<FakeController> {
    const controller = await FakeController.#start();
    afterAll(() => controller[Symbol.asyncDispose]());
    beforeEach(() => {
      controller.answers = {};
      controller.requests.length = 0;
    });
    return controller;
  }

  static async #start(): Promise<FakeController> {
    const certificates = await Certificates.make();
    const tls = await certificates.tls({ kind: "controller", name: "ctl" });
    await certificates.files({ kind: "user", name: "alice", role: "admin" });
    const config = join(certificates.folder, "client.toml");
    const controller: FakeController = new FakeController(
      certificates,
      tls,
      config,
      await createServer({ tls, address: "127.0.0.1:0", services: services(() => controller) }),
    );
    const files = 'ca = "alice/ca.crt"\ncert = "alice/user.crt"\nkey = "alice/user.key"';
    writeFileSync(config, `controller = "127.0.0.1:${controller.#server.port}"\n[tls]\n${files}\n`);
    return controller;
  }

  get certificates(): Certificates {
    return this.#certificates;
  }

  get address(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  /** Runs `ferry` as alice, an administrator. */
  async ferry(words: string, options: FakeShellOptions = {}): Promise<Ran> {
    return await run([...words.split(" "), "--config", this.#config], options);
  }

  /** Gone and back at the same address; open calls break. */
  async restart(): Promise<void> {
    const address = this.address;
    await this.#server.close(0);
    this.#server = await createServer({ tls: this.#tls, address, services: services(() => this) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(0);
    this.#certificates[Symbol.dispose]();
  }
}

function services(controller: () => FakeController) {
  const answered = <Definition extends object>(definition: Definition) => {
    const handlers = Object.keys(definition).map(method => [method, handler(controller, method)]);
    return implement(definition, Object.fromEntries(handlers) as Handlers<Definition>);
  };
  return [
    answered(HostServiceService),
    answered(AggregateServiceService),
    answered(ServerGroupServiceService),
    answered(PlacementServiceService),
    answered(PolicyServiceService),
    answered(FlavorServiceService),
    answered(ServerServiceService),
    answered(MigrationServiceService),
    answered(EventServiceService),
  ];
}

function handler(controller: () => FakeController, method: string) {
  return (request: unknown, caller: unknown): unknown => {
    const { answers, requests } = controller();
    requests.push({ method, request });
    const answer = answers[method as keyof Answers] as ((...parameters: unknown[]) => unknown) | undefined;
    if (answer === undefined) throw new Fault("unsupported", `the test has no answer to ${method}`);
    return answer(request, caller);
  };
}
