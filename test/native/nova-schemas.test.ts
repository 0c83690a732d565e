/**
 * The bodies of the REST API against the response schemas that tempest, OpenStack's own test suite, publishes for Nova: no
 * field is missing, none is too many, at each of the microversions that clients really use.
 */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { NovaWorld } from "../unit/nova/nova-world.js";

/** Tempest's schemas of these end before the version in which Nova added fields. */
const NOT_SINCE: Readonly<Record<string, number>> = {
  hypervisors: 88,
  "hypervisors-detail": 88,
  hypervisor: 88,
  migrations: 80,
  actions: 58,
  action: 84,
};
const VERSIONS = [1, 25, 53, 56, 73, 79, 90];
const CHECKER = join(import.meta.dirname, "support/check-nova-schemas.py");

interface Case {
  readonly kind: string;
  readonly version: number;
  readonly body: unknown;
}

let nova: NovaWorld;
beforeAll(async () => {
  nova = await NovaWorld.open();
  await nova.post("/os-aggregates", { aggregate: { name: "ssd", availability_zone: "west" } });
  await nova.post("/os-aggregates/1/action", { add_host: { host: "h2" } });
  const group = { name: "apart", policy: "anti-affinity", rules: { max_server_per_host: 2 } };
  await nova.post("/os-server-groups", { server_group: group }, { version: "2.64" });
  await nova.act({ migrate: { host: "h3" } }, { version: "2.56" });
  await nova.center.rest();
  // The simulation's hosts are known by name; Nova shows an address.
  await nova.center.store.queries.updateTable("host").set({ address: "192.0.2.7:7401" }).execute();
});
afterAll(() => nova.close());

const complaintsAbout = (cases: readonly Case[]): string[] => {
  const said = execFileSync("/usr/bin/python3", [CHECKER], {
    input: JSON.stringify(cases),
    encoding: "utf8",
  });
  return said.split("\n").filter(line => line !== "");
};

async function bodiesAt(minor: number): Promise<Case[]> {
  const version = `2.${minor}`;
  const body = async (path: string) => {
    const answer = await nova.get(path, { version });
    expect([path, version, answer.status]).toEqual([path, version, 200]);
    return answer.body;
  };
  const { hypervisors } = await body("/os-hypervisors");
  const { server_groups: groups } = await body("/os-server-groups");
  const { instanceActions: actions } = await body("/servers/web/os-instance-actions");
  const paths: Record<string, string> = {
    server: "/servers/web",
    servers: "/servers",
    "servers-detail": "/servers/detail",
    flavor: "/flavors/large",
    "flavors-detail": "/flavors/detail",
    migrations: "/os-migrations",
    hypervisors: "/os-hypervisors",
    "hypervisors-detail": "/os-hypervisors/detail",
    hypervisor: `/os-hypervisors/${hypervisors[0].id}`,
    services: "/os-services",
    aggregates: "/os-aggregates",
    aggregate: "/os-aggregates/1",
    zones: "/os-availability-zone",
    "zones-detail": "/os-availability-zone/detail",
    groups: "/os-server-groups",
    group: `/os-server-groups/${groups[0].id}`,
    actions: "/servers/web/os-instance-actions",
    action: `/servers/web/os-instance-actions/${actions[0].request_id}`,
  };
  const cases: Case[] = [];
  for (const [kind, path] of Object.entries(paths)) {
    if (minor < (NOT_SINCE[kind] ?? Number.POSITIVE_INFINITY))
      cases.push({ kind, version: minor, body: await body(path) });
  }
  return cases;
}

it("every body is as Nova's schema says, at seven microversions", async () => {
  const cases: Case[] = [];
  for (const version of VERSIONS) cases.push(...(await bodiesAt(version)));
  expect(complaintsAbout(cases)).toEqual([]);
});

it("a missing and a superfluous field are seen", async () => {
  const [{ body } = { body: {} }] = await bodiesAt(90);
  const { server } = body as { server: Record<string, unknown> };
  const { locked_reason: _reason, ...without } = server;
  const wrong = [without, { ...server, colour: "red" }];
  const complaints = complaintsAbout(
    wrong.map(one => ({ kind: "server", version: 90, body: { server: one } })),
  );
  expect(complaints.join("\n")).toMatch(
    /'locked_reason' is a required property[\s\S]*'colour' was unexpected/,
  );
});
