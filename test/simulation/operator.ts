/**
 * A person with the `ferry` command's interface: asks, looks at the answer, and asks again when there was none, under the
 * same id.
 */

import type { Client } from "@grpc/grpc-js";
import { asFault } from "../../proto/fault.js";
import {
  AdoptServerRequest,
  FlavorServiceService,
  HostServiceService,
  MigrateServerRequest,
  MigrationServiceService,
  ResizeServerRequest,
  ServerServiceService,
} from "../../proto/gen/ferry/v1/controller.js";
import { Flavor, type Host, type Migration, type Server } from "../../proto/gen/ferry/v1/model.js";
import { TlsSource } from "../../proto/tls-source.js";
import { call, createClient } from "./edges/rpc-client.js";
import type { Machine } from "./world/machine.js";
import { Process } from "./world/process.js";
import type { Random } from "./world/random.js";

const FLAVORS = ["small", "large"];
const AGAIN_MS = 2_000;

export class Operator {
  readonly machine: Machine;
  /** Ids of all requests to move a server. */
  readonly moves = new Set<string>();
  readonly #ids: Random;
  readonly #process: Process;
  #client: Client | undefined;

  constructor(machine: Machine) {
    this.machine = machine;
    this.#ids = machine.random.fork("requests");
    this.#process = new Process(machine, "ferry", machine.nextPid());
  }

  /** Runs in this person's shell and passes virtual time until it is done. */
  async do<T>(body: () => Promise<T>, limitMs = 3_600_000): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    this.#process.enter(() => {
      Promise.resolve()
        .then(body)
        .then(
          value => (outcome = { value }),
          (error: unknown) => (outcome = { error }),
        );
    });
    await this.machine.world.time.run(() => outcome !== undefined, limitMs);
    if (outcome === undefined) throw new Error("no outcome in time");
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Starts it and does not wait; what came of it is in the transcript. */
  begin(what: string, body: () => Promise<unknown>): void {
    this.#process.enter(() => {
      Promise.resolve()
        .then(body)
        .then(
          () => this.machine.say(`${what}: done`),
          (error: unknown) => this.machine.say(`${what}: ${asFault(error).message}`),
        );
    });
  }

  /** Lets virtual time pass until this person sees it so; false when it does not become so. */
  async until(condition: () => Promise<boolean>, limitMs: number): Promise<boolean> {
    let isSo = false;
    let isOver = false;
    this.begin("looks", async () => {
      while (!isSo && !isOver) {
        isSo = await condition().catch(() => false);
        if (!isSo) await this.machine.world.time.pause(1_000, this.#process);
      }
    });
    await this.machine.world.time.run(() => isSo, limitMs);
    isOver = true;
    return isSo;
  }

  /** Again and again, whatever the fault, until it is done. */
  insist<T>(what: string, body: () => Promise<T>): Promise<T> {
    return this.do(() => this.repeat(what, 100, body));
  }

  /** So many times at most. For what was begun already. */
  async repeat<T>(what: string, attempts: number, body: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await body();
      } catch (error) {
        if (attempt === attempts) throw error;
        this.machine.say(`${what}: ${asFault(error).message}`);
        await this.machine.world.time.pause(AGAIN_MS, this.#process);
      }
    }
  }

  /** A person who migrates one server to and fro, confirms, reverts and cancels, as they please. */
  drive(server: string, random: Random): { stop(): void } {
    return this.#keepDoing(server, random, async ({ status, taskState, migrationId }) => {
      if (status === "VERIFY_RESIZE")
        await (random.chance(0.5) ? this.confirm(server, migrationId) : this.revert(server, migrationId));
      else if (taskState === "") await this.#changeSomething(server, status, random);
      else if (migrationId !== "" && random.chance(0.1)) await this.cancel(migrationId);
    });
  }

  async #changeSomething(server: string, status: string, random: Random): Promise<unknown> {
    const choice = random.next();
    if (choice < 0.1) return status === "SHUTOFF" ? this.start(server) : this.stop(server);
    if (choice < 0.3) return this.resize(server, random.pick(FLAVORS));
    return this.migrate(server);
  }

  /** A person who wants things settled: what waits for a verdict gets one. */
  decide(server: string): { stop(): void } {
    const random = this.machine.random.fork(server);
    return this.#keepDoing(server, random, async ({ status, migrationId }) => {
      if (status !== "VERIFY_RESIZE") return;
      await (random.chance(0.7) ? this.confirm(server, migrationId) : this.revert(server, migrationId));
    });
  }

  #keepDoing(server: string, random: Random, act: (server: Server) => Promise<unknown>): { stop(): void } {
    let isOver = false;
    const { time } = this.machine.world;
    this.begin(`the person of ${server}`, async () => {
      while (!isOver) {
        await time.pause(random.between(1_000, 15_000), this.#process);
        if (isOver) return;
        const found = await this.servers().catch(() => []);
        const mine = found.find(({ id }) => id === server);
        if (mine === undefined) continue;
        await act(mine).catch((error: unknown) => this.machine.say(asFault(error).message));
      }
    });
    return {
      stop: () => {
        isOver = true;
      },
    };
  }

  adopt = (host: string, domain: string) =>
    call(this.#wire, ServerServiceService.adoptServer, AdoptServerRequest.fromPartial({ host, domain }));

  migrate = (server: string, host = "", requestId = this.newRequest()) => {
    this.moves.add(requestId);
    const request = MigrateServerRequest.fromPartial({ server, host, requestId, blockDisks: "copy" });
    return this.#untilAnswered(() => call(this.#wire, ServerServiceService.migrateServer, request));
  };

  confirm = async (server: string, migration: string) => {
    const answer = await call(this.#wire, ServerServiceService.confirmServer, { server, migration });
    this.machine.world.guests.keep(server, migration);
    return answer;
  };

  revert = (server: string, migration: string) => {
    this.machine.world.guests.letGo(server, migration);
    const request = { server, migration, discardWrites: true };
    return call(this.#wire, ServerServiceService.revertServer, request);
  };

  resize = (server: string, flavor: string, requestId = this.newRequest()) => {
    this.moves.add(requestId);
    const request = ResizeServerRequest.fromPartial({ server, flavor, requestId, blockDisks: "copy" });
    return this.#untilAnswered(() => call(this.#wire, ServerServiceService.resizeServer, request));
  };

  start = (server: string) => {
    const request = { server, noWait: false, requestId: this.newRequest() };
    return call(this.#wire, ServerServiceService.startServer, request);
  };

  stop = (server: string) => {
    const request = { server, timeoutSeconds: 20, noWait: false, requestId: this.newRequest() };
    return call(this.#wire, ServerServiceService.stopServer, request);
  };

  newRequest = (): string => this.#ids.uuid();

  /** A few times. */
  async #untilAnswered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (attempt === 3 || !asFault(error).isUnknown) throw error;
        await this.machine.world.time.pause(AGAIN_MS, this.#process);
      }
    }
  }

  delete = (server: string) => call(this.#wire, ServerServiceService.deleteServer, { server, noWait: true });

  /** Of one root size, because disks never shrink. */
  createFlavors = async (): Promise<void> => {
    for (const [index, name] of FLAVORS.entries()) {
      const flavor = Flavor.fromPartial({ name, vcpus: index + 1, ramMib: 512 * (index + 1), rootGib: 1 });
      await call(this.#wire, FlavorServiceService.createFlavor, { flavor });
    }
  };

  cancel = (id: string) => call(this.#wire, MigrationServiceService.cancelMigration, { id });

  recover = (id: string) => {
    const request = { id, planOnly: false, fencedHost: "", reason: "" };
    return call(this.#wire, MigrationServiceService.recoverMigration, request);
  };

  hosts = async (): Promise<Host[]> => (await call(this.#wire, HostServiceService.listHosts, {})).hosts;

  servers = async (): Promise<Server[]> =>
    (await call(this.#wire, ServerServiceService.listServers, { host: "", status: "" })).servers;

  migrations = async (): Promise<Migration[]> =>
    (
      await call(this.#wire, MigrationServiceService.listMigrations, {
        server: "",
        status: "",
        host: "",
        limit: 1000,
      })
    ).migrations;

  get #wire(): Client {
    const paths = {
      ca: "/etc/ferry/tls/ca.crt",
      cert: "/etc/ferry/tls/tls.crt",
      key: "/etc/ferry/tls/tls.key",
    };
    this.#client ??= createClient("ctl:7400", new TlsSource(paths), { kind: "controller" });
    return this.#client;
  }
}
