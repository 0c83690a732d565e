/**
 * Nova's REST API and the identity service, asked for what nobody would ask: paths, queries, headers and bodies that were
 * right once. Whatever it is, the answer is one that was meant, and no server runs twice.
 */

import * as fc from "fast-check";
import { NovaWorld } from "../unit/nova/nova-world.js";
import { mutated } from "./mutations.js";
import type { Tally } from "./tally.js";

interface Target {
  readonly name: string;
  readonly documents: readonly string[];
  /** Of inputs; a password that is wrong costs a core 50 ms, on purpose. */
  readonly share: number;
  /** Which request a document makes. */
  readonly ask: (nova: NovaWorld, text: string, version: string) => Promise<{ readonly status: number }>;
}

const json = JSON.stringify;
const ACTIONS = [
  json({ migrate: { host: "h9" } }),
  json({ resize: { flavorRef: "nowhere", "OS-DCF:diskConfig": "AUTO" } }),
  json({ confirmResize: null }),
  json({ revertResize: null }),
  json({ "os-migrateLive": { host: "h2", block_migration: "auto" } }),
  json({ "os-start": null }),
  json({ lock: { locked_reason: "fuzz" } }),
  json({ "os-resetState": { state: "active" } }),
];
const BODIES = [
  json({ server: { name: "new", flavorRef: "nowhere", imageRef: "none", networks: "none" } }),
  json({ flavor: { name: "tiny", ram: 64, vcpus: 1, disk: 1, id: "auto" } }),
  json({ aggregate: { name: "racks", availability_zone: "az" } }),
  json({ server_group: { name: "apart", policy: "anti-affinity", rules: { max_server_per_host: 2 } } }),
];
const COLLECTIONS = {
  '"flavor"': "/flavors",
  '"aggregate"': "/os-aggregates",
  '"server_group"': "/os-server-groups",
};
const LOGINS = [
  json({
    auth: {
      identity: {
        methods: ["password"],
        password: { user: { name: "ana", domain: { id: "default" }, password: "wrong" } },
      },
      scope: { project: { name: "blue", domain: { id: "default" } } },
    },
  }),
  json({ auth: { identity: { methods: ["token"], token: { id: "gAAAAAeyJ1c2VyIjoiYW5hIn0.AAAA" } } } }),
];
const PATHS = [
  "/servers/detail?limit=2&marker=web&sort_key=created_at&status=ACTIVE",
  "/servers/web",
  "/servers/web/migrations/1",
  "/os-migrations?status=finished&host=h1&limit=3&changes-since=2026-11-27T10:00:00Z",
  "/flavors/large/os-extra_specs/hw:cpu_policy",
  "/os-hypervisors/detail?limit=1&with_servers=true",
  "/os-services?binary=nova-compute&host=h1",
  "/os-instance-actions",
];
/** Nova's answer to what a driver cannot do: a refusal like others. */
const NOT_IMPLEMENTED = 501;
const VERSIONS = ["2.1", "2.56", "2.96"] as const;

const as = (who: "admin" | null, version: string) => ({ as: who, version });
const TARGETS: readonly Target[] = [
  {
    name: "REST: server action",
    documents: ACTIONS,
    share: 0.3,
    ask: (nova, text, version) =>
      nova.ask("POST", "/servers/web/action", { ...as("admin", version), body: text }),
  },
  {
    name: "REST: what is to be made",
    documents: BODIES,
    share: 0.3,
    ask: (nova, text, version) => {
      const [, path = "/servers"] = Object.entries(COLLECTIONS).find(([word]) => text.includes(word)) ?? [];
      return nova.ask("POST", path, { ...as("admin", version), body: text });
    },
  },
  {
    name: "REST: login",
    documents: LOGINS,
    share: 0.01,
    ask: (nova, text) => nova.ask("POST", "/v3/auth/tokens", { as: null, body: text }),
  },
  {
    name: "REST: path and query",
    documents: PATHS,
    share: 0.38,
    ask: (nova, text, version) => {
      // Cutting the slash off may have cut a character in two, which no URL can carry.
      const rest = text.slice(1).toWellFormed();
      return nova.ask("GET", encodeURI(`/v2.1/${rest}`), as("admin", version));
    },
  },
  {
    name: "REST: version and token",
    share: 0.01,
    documents: ["compute 2.56", "gAAAAAeyJ1c2VyIjoiYW5hIn0.AAAA", "Basic YWRtaW46eA=="],
    ask: (nova, text) => {
      // What no header can carry is refused by the HTTP parser before us.
      const value = text.replace(/[^\x20-\x7e]/g, "?");
      const headers = { "openstack-api-version": value, "x-auth-token": value };
      return nova.ask("GET", "/servers", { as: null, headers });
    },
  },
];

export async function fuzzRest(inputs: number, seed: number): Promise<Tally[]> {
  const nova = await NovaWorld.open();
  try {
    const tallies: Tally[] = [];
    for (const target of TARGETS)
      tallies.push(await fuzz(nova, target, Math.ceil(inputs * target.share), seed));
    const { status } = await nova.get("/servers/web");
    const complaints = [
      ...nova.failures.map(failure => `REST: ${failure instanceof Error ? failure.stack : String(failure)}`),
      ...nova.center.breaches,
      ...(status === 200 || status === 404 ? [] : [`REST: the server's status is ${status}`]),
    ];
    return [...tallies, { target: "(server afterwards)", inputs: 0, accepted: 0, refused: 0, complaints }];
  } finally {
    await nova.close();
  }
}

async function fuzz(nova: NovaWorld, target: Target, inputs: number, seed: number): Promise<Tally> {
  const counts = { accepted: 0, refused: 0 };
  const documents = target.documents.map(text => Buffer.from(text));
  const property = fc.asyncProperty(
    mutated(documents),
    fc.constantFrom(...VERSIONS),
    async (bytes, version) => {
      const { status } = await target.ask(nova, bytes.toString("utf8"), version);
      if (status >= 500 && status !== NOT_IMPLEMENTED) throw new Error(`${target.name}: ${status}`);
      counts[status < 400 ? "accepted" : "refused"] += 1;
    },
  );
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: inputs, seed });
  const [bytes] = counterexample ?? [];
  const shown = `seed ${seed}, input ${json(bytes?.toString("latin1").slice(0, 400))}`;
  const complaints = failed ? [`${(errorInstance as Error).stack}\n${shown}`] : [];
  return { target: target.name, inputs, ...counts, complaints };
}
