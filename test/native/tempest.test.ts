/**
 * Tempest, OpenStack's own test suite, against the REST API: migrations, resizes and their verdicts, deletion in the verify
 * window, hypervisors, services, aggregates, zones, server groups, flavors, and what is refused. The hosts are the
 * simulated ones, so that a move takes milliseconds; real guests are driven by the clients in the lab.
 */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { IMAGE_ID, NovaWorld } from "../unit/nova/nova-world.js";

const compute = (folder: string, ...names: string[]) =>
  names.map(name => `tempest.api.compute.${folder}.${name}`);
const actions = (...names: string[]) =>
  names.map(name => `test_server_actions.ServerActionsTestJSON.${name}`);
const negative = (...names: string[]) =>
  names.map(name => `test_servers_negative.ServersNegativeTestJSON.${name}`);

const TESTS = [
  ...compute("admin", "test_migrations", "test_hypervisor", "test_hypervisor_negative"),
  ...compute(
    "admin",
    "test_services",
    "test_services_negative",
    "test_aggregates",
    "test_aggregates_negative",
  ),
  ...compute("admin", "test_availability_zone", "test_availability_zone_negative"),
  ...compute("flavors", "test_flavors"),
  ...compute(
    "servers",
    ...actions("test_resize_server_confirm", "test_resize_server_confirm_from_stopped"),
    ...actions("test_resize_server_revert", "test_stop_start_server", "test_lock_unlock_server"),
    "test_delete_server.DeleteServersTestJSON.test_delete_active_server",
    "test_delete_server.DeleteServersTestJSON.test_delete_server_while_in_shutoff_state",
    "test_delete_server.DeleteServersTestJSON.test_delete_server_while_in_verify_resize_state",
    ...negative("test_resize_nonexistent_server", "test_resize_server_with_non_existent_flavor"),
    ...negative("test_resize_server_with_null_flavor", "test_get_non_existent_server"),
    ...negative("test_delete_non_existent_server", "test_stop_non_existent_server"),
    "test_server_group",
  ),
];

const ADDRESS = "192.0.2.7:7401";

let nova: NovaWorld;
let folder: string;
let isOver = false;
let time: Promise<void>;

beforeAll(async () => {
  nova = await NovaWorld.open();
  folder = mkdtempSync(join(tmpdir(), "ferry-tempest-"));
  // Tokens and what tempest compares with its own clock are of this time, whatever time passes for the agents.
  nova.center.clock.nowMs = () => Date.now();
  await giveAddresses();
  for (const [id, ramMib] of [
    ["1", 64],
    ["2", 96],
  ] as const)
    await nova.center.addFlavor(Flavor.fromPartial({ id, name: `m1.${id}`, vcpus: 1, ramMib, rootGib: 1 }));
  await nova.app.listen({ host: "127.0.0.1", port: 0 });
  time = (async () => {
    while (!isOver) await nova.center.passTime(() => isOver);
  })();
});
afterAll(async () => {
  isOver = true;
  await time;
  await nova.close();
  rmSync(folder, { recursive: true });
});

/** The simulation's hosts are known by name; Nova shows an address. */
async function giveAddresses(): Promise<void> {
  const { fleet } = nova.center.controller;
  const heartbeat = fleet.heartbeat.bind(fleet);
  fleet.heartbeat = report => heartbeat({ ...report, address: ADDRESS });
  await nova.center.store.queries.updateTable("host").set({ address: ADDRESS }).execute();
}

function configure(): void {
  const { port } = nova.app.server.address() as { port: number };
  const account = (name: string, role: string) =>
    `- {username: ${name}, password: ${nova.password}, project_name: blue, domain_name: Default, roles: [${role}], types: [${role}]}`;
  writeFileSync(join(folder, "accounts.yaml"), `${account("admin", "admin")}\n${account("ana", "member")}\n`);
  const sections: Record<string, Record<string, string | number | boolean>> = {
    DEFAULT: { log_dir: folder },
    oslo_concurrency: { lock_path: folder },
    auth: {
      use_dynamic_credentials: false,
      create_isolated_networks: false,
      test_accounts_file: join(folder, "accounts.yaml"),
    },
    identity: { uri_v3: `http://127.0.0.1:${port}/v3`, auth_version: "v3", region: "RegionOne" },
    "identity-feature-enabled": { api_v2: false },
    service_available: { cinder: false, glance: true, neutron: false, swift: false },
    compute: {
      image_ref: IMAGE_ID,
      image_ref_alt: IMAGE_ID,
      flavor_ref: 1,
      flavor_ref_alt: 2,
      min_compute_nodes: 2,
      min_microversion: "2.1",
      max_microversion: "2.93",
      build_interval: 1,
      build_timeout: 60,
    },
    "compute-feature-enabled": { resize: true, cold_migration: true, live_migration: false },
    validation: { run_validation: false },
  };
  const text = Object.entries(sections).map(([section, options]) => {
    const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}`);
    return [`[${section}]`, ...lines].join("\n");
  });
  writeFileSync(join(folder, "tempest.conf"), text.join("\n"));
}

it("tempest finds nothing to complain about", { timeout: 180_000 }, async () => {
  configure();
  const env = { ...process.env, TEMPEST_CONFIG_DIR: folder };
  const words = ["-m", "testtools.run", ...TESTS];
  const ran = await promisify(execFile)("/usr/bin/python3", words, {
    env,
    cwd: folder,
    maxBuffer: 2 ** 26,
  }).catch((failed: { stdout: string; stderr: string }) => failed);
  const failures = ran.stdout.match(/^(?:ERROR|FAIL): .*$/gm) ?? [];
  expect({ failures, end: ran.stdout.slice(-3000) }).toEqual({
    failures: [],
    end: expect.stringMatching(/\nOK\n$/),
  });
  const [, count] = /Ran (\d+) tests/.exec(ran.stdout) ?? [];
  expect(Number(count)).toBeGreaterThan(60);
  expect([nova.failures, nova.center.breaches]).toEqual([[], []]);
});
