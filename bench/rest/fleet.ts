/**
 * A fleet as a controller's store has it: hosts that have just been heard, servers with two disks on each, and a past
 * migration of each server.
 */

import { randomUUID } from "node:crypto";
import type { Fleet } from "../../controller/fleet/fleet.js";
import { insertMigration } from "../../controller/store/migrations.js";
import { insertServer } from "../../controller/store/servers.js";
import type { Store } from "../../controller/store/store.js";
import { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { CopiedFile, Disk, Flavor, NetworkInterface, StepRecord } from "../../proto/gen/ferry/v1/model.js";

const SERVERS_PER_HOST = 20;
const FLAVOR = Flavor.fromPartial({ id: "2", name: "m1.small", vcpus: 2, ramMib: 4096, rootGib: 20 });

/** The servers' ids. */
export async function plantFleet(store: Store, fleet: Fleet, servers: number): Promise<string[]> {
  const hosts = Array.from({ length: Math.ceil(servers / SERVERS_PER_HOST) }, (_, index) => `h${index + 1}`);
  for (const host of hosts) {
    const inventories = ["VCPU", "MEMORY_MB", "DISK_GB"].map(resourceClass => ({
      resourceClass,
      total: 1_000_000,
      reserved: 0,
      allocationRatio: 1,
      used: 0,
    }));
    await fleet.heartbeat(
      HeartbeatRequest.fromPartial({ host, address: "192.0.2.1:7401", installId: host, inventories }),
    );
  }
  const ids = Array.from({ length: servers }, () => randomUUID());
  await store.transaction(async queries => {
    for (const [index, id] of ids.entries()) {
      await insertServer(queries, serverOf(id, index, hosts));
      await insertMigration(queries, migrationOf(id, index, hosts));
    }
  });
  return ids;
}

function serverOf(id: string, index: number, hosts: readonly string[]) {
  const disk = (targetDev: string, role: string) =>
    Disk.fromPartial({
      targetDev,
      role,
      path: `/var/lib/libvirt/images/${id}-${targetDev}.qcow2`,
      format: "qcow2",
    });
  return {
    id,
    taskOwner: "",
    term: 0,
    name: `server-${index}`,
    host: hosts[index % hosts.length] ?? "",
    flavor: FLAVOR,
    vmState: "active",
    taskState: "",
    powerState: "RUNNING",
    epoch: 1,
    owner: "user/ana",
    disks: [disk("vda", "root"), disk("vdb", "swap")],
    interfaces: [NetworkInterface.fromPartial({ mac: "52:54:00:00:00:01", type: "bridge", source: "br0" })],
    image: "",
    maxDowntimeSeconds: 0,
    migrationId: "",
    fault: undefined,
    pending: undefined,
    project: "blue",
    lockedBy: "",
    lockedReason: "",
    deleteAsked: false,
    availabilityZone: "",
    serverGroup: "",
    sameHost: [],
    differentHost: [],
    imageProperties: {},
    createdAtMs: Date.now() + index,
    updatedAtMs: Date.now(),
  };
}

const STEPS = [
  "claim-server",
  "select-target",
  "prepare-target",
  "stop-source",
  "fence-source",
  "copy-disks",
];

function migrationOf(serverId: string, index: number, hosts: readonly string[]) {
  const atMs = Date.now() + index;
  return {
    id: randomUUID(),
    serverId,
    serverName: `server-${index}`,
    type: "migration",
    status: "confirmed",
    open: false,
    stuck: false,
    sourceHost: hosts[(index + 1) % hosts.length] ?? "",
    targetHost: hosts[index % hosts.length] ?? "",
    targetAsked: true,
    oldFlavor: FLAVOR,
    newFlavor: FLAVOR,
    step: "release",
    direction: "forward",
    steps: STEPS.map(name => StepRecord.fromPartial({ name, startedAtMs: atMs, endedAtMs: atMs + 1 })),
    fault: undefined,
    progress: undefined,
    receipt: ["vda/0", "vdb/0"].map(id => CopiedFile.fromPartial({ id, mode: "copied" })),
    notes: [],
    refusals: [],
    downtimeMs: 4000,
    autoConfirmAtMs: 0,
    autoConfirmLeftMs: 0,
    epoch: 2,
    requestedBy: "user/ana",
    project: "blue",
    createdAtMs: atMs,
    updatedAtMs: atMs,
    endedAtMs: atMs,
  };
}
