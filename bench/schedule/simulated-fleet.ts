/**
 * A fleet in a store on disk: hosts of captured machines with servers on them, racks and zones as aggregates, and
 * groups with members.
 */

import { insertAllocations } from "../../controller/store/allocations.js";
import { raiseGenerations } from "../../controller/store/hosts.js";
import type { Queries } from "../../controller/store/schema.js";
import type { Store } from "../../controller/store/store.js";
import { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { capturedMachines, type Machine } from "./captured-hosts.js";
import { oneOf, type Random } from "./random.js";

export const GROUPS = 50;
export const groupId = (index: number): string => `group-${index % GROUPS}`;
export const ZONES = ["east", "west", "north", "south"] as const;

const SERVERS_ON_A_HOST = 5;
const RACKS = 20;
const MEMBERS_OF_A_GROUP = 4;
const VCPUS_PER_CPU = 4;
const ROWS_AT_ONCE = 200;

const hostName = (index: number): string => `h${String(index).padStart(6, "0")}`;

export async function fillFleet(store: Store, hosts: number, random: Random): Promise<void> {
  const machines = await capturedMachines(random);
  const texts = new Map(
    machines.map(machine => [machine, JSON.stringify(HostHardware.toJSON(machine.hardware))]),
  );
  const names = Array.from({ length: hosts }, (_, index) => hostName(index));
  for (let first = 0; first < hosts; first += ROWS_AT_ONCE) {
    const some = names.slice(first, first + ROWS_AT_ONCE).map(name => {
      const machine = oneOf(machines, random);
      return { name, machine, hardware: texts.get(machine) ?? "" };
    });
    await store.transaction(queries => insertHosts(queries, some, random));
  }
  await store.transaction(queries => insertAggregates(queries, names));
  await store.transaction(queries => insertGroups(queries, names, random));
}

interface NewHost {
  readonly name: string;
  readonly machine: Machine;
  readonly hardware: string;
}

async function insertHosts(queries: Queries, hosts: readonly NewHost[], random: Random): Promise<void> {
  const unsaid = {
    status: "enabled",
    disabled_reason: "",
    address: "",
    migration_address: "",
    data_port: 0,
    agent_version: "",
    boot_id: "",
    machine_id: "",
    install_id: "",
    incarnation: 0,
    hook_problem: "",
    quarantine: "",
    forced_down: 0,
    last_heartbeat_ms: 0,
    generation: 0,
    traits: "[]",
  };
  const rows = hosts.map(({ name, hardware }) => ({ ...unsaid, name, hardware }));
  await queries
    .insertInto("host")
    .values(rows as never)
    .execute();
  const offers = hosts.flatMap(({ name, machine }) => [
    offer(name, "VCPU", machine.vcpus, VCPUS_PER_CPU),
    offer(name, "PCPU", machine.pcpus, 1),
    offer(name, "MEMORY_MB", machine.memoryMib, 16),
    offer(name, "DISK_GB", 2000, 1),
    ...[...machine.others].map(([resourceClass, total]) => offer(name, resourceClass, total, 1)),
  ]);
  await queries.insertInto("inventory").values(offers).execute();
  await insertAllocations(
    queries,
    hosts.flatMap(({ name, machine }) => bookings(name, machine, random)),
  );
}

const offer = (host: string, resource_class: string, total: number, allocation_ratio: number) => ({
  host,
  resource_class,
  total,
  reserved: 0,
  allocation_ratio,
});

function bookings(host: string, { vcpus }: Machine, random: Random) {
  const servers = Math.min(Math.floor(random() * SERVERS_ON_A_HOST), vcpus * VCPUS_PER_CPU);
  return Array.from({ length: servers }, (_, index) => {
    const held = { consumer: `${host}-${index}`, consumerKind: "server" as const, host };
    return [
      { ...held, resourceClass: "VCPU", amount: 1 },
      { ...held, resourceClass: "MEMORY_MB", amount: 256 },
      { ...held, resourceClass: "DISK_GB", amount: 20 },
    ];
  }).flat();
}

async function insertAggregates(queries: Queries, names: readonly string[]): Promise<void> {
  const racks = Array.from({ length: RACKS }, (_, index) => ({
    id: index + 1,
    uuid: `rack-${index}`,
    name: `rack-${index}`,
    availability_zone: ZONES[index % ZONES.length] ?? "",
    metadata: JSON.stringify(index % 2 === 0 ? { disk: "ssd" } : { disk: "hdd" }),
    created_at_ms: 0,
    updated_at_ms: 0,
  }));
  await queries.insertInto("aggregate").values(racks).execute();
  for (let first = 0; first < names.length; first += ROWS_AT_ONCE) {
    const some = names.slice(first, first + ROWS_AT_ONCE);
    const members = some.map((host, index) => ({ aggregate: ((first + index) % RACKS) + 1, host }));
    await queries.insertInto("aggregate_host").values(members).execute();
  }
}

async function insertGroups(queries: Queries, names: readonly string[], random: Random): Promise<void> {
  for (let index = 0; index < GROUPS; index += 1) {
    const policy = index % 2 === 0 ? "anti-affinity" : "soft-anti-affinity";
    await queries
      .insertInto("server_group")
      .values({
        id: groupId(index),
        name: groupId(index),
        policy,
        max_server_per_host: 1,
        owner: "",
        created_at_ms: 0,
      })
      .execute();
    for (let member = 0; member < MEMBERS_OF_A_GROUP; member += 1)
      await insertMember(queries, `member-${index}-${member}`, groupId(index), oneOf(names, random));
  }
}

async function insertMember(queries: Queries, id: string, group: string, host: string): Promise<void> {
  const row = {
    id,
    name: id,
    host,
    flavor: JSON.stringify(Flavor.toJSON(Flavor.create())),
    vm_state: "active",
    task_state: "",
    power_state: "RUNNING",
    epoch: 1,
    owner: "user/bench",
    disks: "[]",
    interfaces: "[]",
    image: "",
    max_downtime_seconds: 0,
    migration_id: "",
    created_at_ms: 0,
    updated_at_ms: 0,
    server_group: group,
  };
  await queries
    .insertInto("server")
    .values(row as never)
    .execute();
  // A GiB of disk is always there, and enough for the scheduler to see that it is there.
  const held = { consumer: id, consumerKind: "server" as const, host, resourceClass: "DISK_GB", amount: 1 };
  await insertAllocations(queries, [held]);
  await raiseGenerations(queries, [host]);
}
