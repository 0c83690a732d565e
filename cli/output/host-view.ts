/** Hosts as tables. */

import type { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import type { Host, Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Column, Field } from "./table.js";
import { formatAge, formatBytes, formatTime } from "./units.js";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export const hostColumns = (now: Date): Column<Host>[] => [
  { title: "Host", value: ({ name }) => name },
  { title: "Status", value: ({ status }) => status },
  { title: "State", value: stateOf },
  { title: "Zone", value: ({ availabilityZone }) => availabilityZone },
  { title: "Servers", value: ({ servers }) => String(servers), right: true },
  { title: "VCPUs", value: host => usage(host, "VCPU"), right: true },
  { title: "RAM", value: host => usage(host, "MEMORY_MB"), right: true },
  { title: "Disk", value: host => usage(host, "DISK_GB"), right: true },
  { title: "Heartbeat", value: ({ lastHeartbeatMs }) => formatAge(lastHeartbeatMs, now) },
  { title: "Remark", value: ({ hookProblem, disabledReason }) => hookProblem || disabledReason },
];

/** That of its agent is not shown of a host that a person calls down. */
function stateOf({ state, forcedDown }: Host): string {
  return forcedDown ? "down (forced)" : state;
}

export function hostFields(host: Host, now: Date): Field[] {
  const heartbeat = host.lastHeartbeatMs === 0 ? "never" : formatTime(host.lastHeartbeatMs);
  return [
    ["host", host.name],
    ["status", host.disabledReason === "" ? host.status : `${host.status}: ${host.disabledReason}`],
    ["state", stateOf(host)],
    ["problem", host.hookProblem],
    ["address", host.address],
    ["migration address", host.migrationAddress],
    ["last heartbeat", `${heartbeat} (${formatAge(host.lastHeartbeatMs, now)})`],
    ["agent version", host.agentVersion],
    ["boot id", host.bootId],
    ["availability zone", host.availabilityZone],
    ["aggregates", host.aggregates.join(", ")],
    ["traits", host.traits.join(", ")],
    ["servers", String(host.servers)],
    ...host.inventories.map(inventoryField),
  ];
}

/** What the agent says about the machine; long lists are counted here and spelt out with `-o json`. */
export function descriptionFields(description: HostDescription): Field[] {
  return flatten("", description);
}

function usage({ inventories }: Host, resourceClass: string): string {
  const inventory = inventories.find(candidate => candidate.resourceClass === resourceClass);
  if (inventory === undefined) return "-";
  return `${amount(inventory.used, resourceClass)} / ${amount(capacity(inventory), resourceClass)}`;
}

/** What may be booked, as placement counts it. */
const capacity = ({ total, reserved, allocationRatio }: Inventory): number =>
  Math.max(0, Math.floor((total - reserved) * allocationRatio));

function inventoryField(inventory: Inventory): Field {
  const { resourceClass, total, reserved, allocationRatio, used } = inventory;
  const kept = reserved > 0 ? `, ${amount(reserved, resourceClass)} reserved` : "";
  const ratio = allocationRatio === 1 ? "" : `, ratio ${allocationRatio}`;
  const booked = `${amount(used, resourceClass)} of ${amount(capacity(inventory), resourceClass)} booked`;
  return [resourceClass, `${booked} (${amount(total, resourceClass)} present${kept}${ratio})`];
}

export function amount(value: number, resourceClass: string): string {
  if (resourceClass === "MEMORY_MB") return formatBytes(value * MIB);
  return resourceClass === "DISK_GB" ? formatBytes(value * GIB) : String(value);
}

const LONGEST_LIST = 8;
const LONGEST_TEXT = 100;

function flatten(name: string, value: unknown): Field[] {
  if (Array.isArray(value)) return [[name, listText(value)]];
  if (typeof value === "object" && value !== null) {
    const inside = (key: string) => (name === "" ? key : `${name}.${key}`);
    return Object.entries(value).flatMap(([key, item]) => flatten(inside(key), item));
  }
  if (value === undefined || value === "") return [];
  return [[name, name.endsWith("Bytes") ? formatBytes(Number(value)) : shortText(String(value))]];
}

/** XML and other documents are for programs. */
const shortText = (text: string): string =>
  text.length <= LONGEST_TEXT ? text : `${text.length} characters (see -o json)`;

function listText(values: readonly unknown[]): string {
  const plain = values.every(value => typeof value !== "object");
  return plain && values.length <= LONGEST_LIST ? values.join(", ") : `${values.length} (see -o json)`;
}
