/** Aggregates, zones, groups, bookings and rules as tables. */

import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import type {
  Aggregate,
  Allocation,
  AvailabilityZone,
  PlacementFinding,
  PolicyRule,
  ServerGroup,
} from "../../proto/gen/ferry/v1/placement.js";
import { amount } from "./host-view.js";
import { pairs } from "./pairs.js";
import type { Column, Field } from "./table.js";
import { formatTime } from "./units.js";

export const AGGREGATE_COLUMNS: readonly Column<Aggregate>[] = [
  { title: "ID", value: ({ id }) => String(id), right: true },
  { title: "Name", value: ({ name }) => name },
  { title: "Availability Zone", value: ({ availabilityZone }) => availabilityZone || "-" },
  { title: "Hosts", value: ({ hosts }) => hosts.join(", ") },
  { title: "Properties", value: ({ metadata }) => pairs(metadata) },
];

export const aggregateFields = (aggregate: Aggregate): Field[] => [
  ["id", String(aggregate.id)],
  ["name", aggregate.name],
  ["availability zone", aggregate.availabilityZone],
  ["hosts", aggregate.hosts.join(", ")],
  ["properties", pairs(aggregate.metadata)],
  ["uuid", aggregate.uuid],
  ["created", formatTime(aggregate.createdAtMs)],
  ["updated", formatTime(aggregate.updatedAtMs)],
];

export const ZONE_COLUMNS: readonly Column<AvailabilityZone>[] = [
  { title: "Zone Name", value: ({ name }) => name },
  { title: "Zone Status", value: ({ available }) => (available ? "available" : "not available") },
  { title: "Hosts", value: ({ hosts }) => hosts.join(", ") },
];

export const GROUP_COLUMNS: readonly Column<ServerGroup>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "Name", value: ({ name }) => name },
  { title: "Policy", value: policyText },
  { title: "Members", value: ({ members }) => String(members.length), right: true },
  { title: "Owner", value: ({ owner }) => owner },
];

export const groupFields = (group: ServerGroup): Field[] => [
  ["id", group.id],
  ["name", group.name],
  ["policy", policyText(group)],
  ["members", group.members.join(", ")],
  ["owner", group.owner],
  ["created", formatTime(group.createdAtMs)],
];

function policyText({ policy, maxServerPerHost }: ServerGroup): string {
  return maxServerPerHost > 1 ? `${policy}, at most ${maxServerPerHost} on a host` : policy;
}

interface Offer {
  readonly host: string;
  readonly inventory: Inventory;
}

export const INVENTORY_COLUMNS: readonly Column<Offer>[] = [
  { title: "Host", value: ({ host }) => host },
  { title: "Resource Class", value: ({ inventory }) => inventory.resourceClass },
  { title: "Allocation Ratio", value: ({ inventory }) => String(inventory.allocationRatio), right: true },
  {
    title: "Reserved",
    value: ({ inventory }) => amount(inventory.reserved, inventory.resourceClass),
    right: true,
  },
  { title: "Total", value: ({ inventory }) => amount(inventory.total, inventory.resourceClass), right: true },
  { title: "Used", value: ({ inventory }) => amount(inventory.used, inventory.resourceClass), right: true },
];

export const ALLOCATION_COLUMNS: readonly Column<Allocation>[] = [
  { title: "Host", value: ({ host }) => host },
  { title: "Held By", value: ({ consumerKind }) => consumerKind },
  { title: "Server", value: ({ serverName }) => serverName || "-" },
  { title: "Consumer", value: ({ consumer }) => consumer },
  { title: "Resources", value: ({ resources }) => pairs(resources) },
];

export const FINDING_COLUMNS: readonly Column<PlacementFinding>[] = [
  { title: "Finding", value: ({ kind }) => kind },
  { title: "Host", value: ({ host }) => host },
  { title: "Held By", value: ({ consumerKind }) => consumerKind },
  { title: "Server", value: ({ serverName, consumer }) => serverName || consumer },
  { title: "Have", value: ({ have }) => have },
  { title: "Need", value: ({ need }) => need },
  { title: "Healed", value: ({ healed }) => (healed ? "yes" : "no") },
  { title: "Remark", value: ({ remark }) => remark },
];

export const RULE_COLUMNS: readonly Column<PolicyRule>[] = [
  { title: "Rule", value: ({ name }) => name },
  { title: "Role", value: ({ role, owner }) => (owner ? `${role}, own servers` : role) },
  { title: "Default", value: ({ role, defaultRole }) => (role === defaultRole ? "" : defaultRole) },
  { title: "You", value: ({ allowed }) => (allowed ? "yes" : "no") },
  { title: "Methods", value: ({ methods }) => methods.map(method => method.replace(/^.*\//, "")).join(", ") },
];
