/**
 * A simulated datacenter behind the REST face: real store, migrations and policy, fake agents, virtual time, and requests
 * that need no socket. Three callers: an administrator and a member of project `blue`, and a member of `red`.
 */

import { randomBytes, scryptSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { LocalCalls } from "../../../controller/api/local-calls.js";
import { authenticator } from "../../../controller/api/nova/identity/authenticate.js";
import { Credentials } from "../../../controller/api/nova/identity/credentials.js";
import { IdentityRoutes } from "../../../controller/api/nova/identity/identity-service.js";
import { Tokens } from "../../../controller/api/nova/identity/tokens.js";
import { novaApi } from "../../../controller/api/nova/nova-api.js";
import { novaRoutes } from "../../../controller/api/nova/routes/routes.js";
import { Aggregates } from "../../../controller/fleet/aggregates.js";
import { ServerGroups } from "../../../controller/fleet/server-groups.js";
import { Audit } from "../../../controller/migration/audit.js";
import { EpochRaise } from "../../../controller/migration/epoch-raise.js";
import { ReturnedHosts } from "../../../controller/migration/returned-host.js";
import { DriftWatch } from "../../../controller/migration/watch-drift.js";
import { Policy } from "../../../controller/policy/policy.js";
import { controllerServices } from "../../../controller/service.js";
import { Datacenter } from "../../simulation/datacenter.js";

export const IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b";
const PASSWORD = "correct horse";
/** At a cost that tests can afford. */
const hashed = cheapHash(PASSWORD);
const token = cheapHash("robot.5ecret");

const CREDENTIALS = `
[users.admin]
password = "${hashed}"
role = "admin"
projects = ["blue", "red"]
[users.ana]
password = "${hashed}"
role = "member"
projects = ["blue"]
[users.bob]
password = "${hashed}"
role = "member"
projects = ["red"]
[users.robot]
token = "${token}"
role = "manager"
projects = ["blue"]
`;

function cheapHash(secret: string): string {
  const salt = randomBytes(16);
  const hash = scryptSync(secret, salt, 32, { N: 1024, r: 8, p: 1 });
  return `scrypt$1024$8$1$${salt.toString("base64")}$${hash.toString("base64")}`;
}

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the test expects
  readonly body: any;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Ask {
  readonly as?: "admin" | "ana" | "bob" | null;
  /** "2.56" */
  readonly version?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

const fileIn = (folder: string): string => join(folder, "credentials.toml");

/** Who is let in. */
interface Lock {
  readonly folder: string;
  readonly credentials: Credentials;
  readonly tokens: Tokens;
}

export class NovaWorld {
  readonly center: Datacenter;
  /** What the REST face asks, and any gRPC client. */
  readonly calls: LocalCalls;
  readonly app: FastifyInstance;
  readonly failures: unknown[] = [];
  readonly credentialFile: string;
  readonly #folder: string;

  private constructor(center: Datacenter, { folder, credentials, tokens }: Lock) {
    this.center = center;
    this.#folder = folder;
    this.credentialFile = fileIn(folder);
    const policy = new Policy(new Map([["os_compute_api:servers:create", "member"]]));
    let ids = 0;
    const newId = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}`;
    const { fleet, migrations, servers, deps } = center.controller;
    const aggregates = new Aggregates({ ...deps, newId, isAvailable: host => fleet.isAvailable(host) });
    const serverGroups = new ServerGroups({ ...deps, newId });
    const returned = new ReturnedHosts(deps, migrations);
    const driftWatch = new DriftWatch({
      clock: center.clock,
      audit: new Audit(deps),
      returned,
      onDrift: () => undefined,
      onTrouble: () => undefined,
    });
    const epochRaise = new EpochRaise(deps, migrations);
    const more = { aggregates, serverGroups, epochRaise, returned, driftWatch };
    const api = { ...deps, ...more, store: center.store, migrations, servers, policy, newId };
    this.calls = new LocalCalls(controllerServices(api), policy);
    this.app = novaApi({
      calls: this.calls,
      routes: novaRoutes({
        images: [{ id: IMAGE_ID, name: "cirros", path: "/images/i.raw", format: "raw" }],
      }),
      authenticate: authenticator(credentials, tokens),
      identity: new IdentityRoutes(credentials, tokens),
      newId,
      onFailure: thrown => this.failures.push(thrown),
    });
  }

  static async open(): Promise<NovaWorld> {
    const center = await Datacenter.open();
    const folder = mkdtempSync(join(tmpdir(), "ferry-nova-"));
    writeFileSync(fileIn(folder), CREDENTIALS);
    return NovaWorld.#beside(center, folder);
  }

  /** Another controller's REST face on the same store and credential file. */
  another(): Promise<NovaWorld> {
    return NovaWorld.#beside(this.center, this.#folder);
  }

  static async #beside(center: Datacenter, folder: string): Promise<NovaWorld> {
    const nowMs = () => center.clock.nowMs();
    const credentials = new Credentials(fileIn(folder), nowMs);
    const secretsOf = (name: string) => credentials.secretsOf(name);
    const tokens = await Tokens.open({ store: center.store, nowMs, secretsOf });
    return new NovaWorld(center, { folder, credentials, tokens });
  }

  get password(): string {
    return PASSWORD;
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.center.controller.servers.close();
    await this.center.close();
    rmSync(this.#folder, { recursive: true });
  }

  get(path: string, ask: Ask = {}): Promise<Answered> {
    return this.ask("GET", path, ask);
  }

  post(path: string, body: unknown, ask: Ask = {}): Promise<Answered> {
    return this.ask("POST", path, { ...ask, body });
  }

  /** Calls of this verb (`receiveDisks`) are not carried out until the function that is answered is called. */
  hold(verb: string): () => void {
    const gate = Promise.withResolvers<void>();
    const { agents } = this.center;
    const perform = agents.perform.bind(agents);
    agents.perform = async (host, request, options) => {
      if (request.verb?.$case === verb) await gate.promise;
      return perform(host, request, options);
    };
    return gate.resolve;
  }

  /** An action of `web`. */
  act(body: unknown, ask: Ask = {}): Promise<Answered> {
    return this.post("/servers/web/action", body, ask);
  }

  async ask(method: string, path: string, ask: Ask = {}): Promise<Answered> {
    const { as = "admin", version, body, headers = {} } = ask;
    const answer = await this.app.inject({
      method: method as "GET",
      url: /^\/(v3|v2\.1|$)/.test(path) ? path : `/v2.1${path}`,
      headers: {
        ...(as === null ? {} : { authorization: `Basic ${btoa(`${as}:${PASSWORD}`)}` }),
        ...(version === undefined ? {} : { "openstack-api-version": `compute ${version}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = answer.body;
    return {
      status: answer.statusCode,
      body: text === "" ? undefined : JSON.parse(text),
      headers: answer.headers,
    };
  }
}
