/**
 * A host as the scheduler sees it. Made once per generation of the host and shared by every decision until it changes,
 * so it holds what filters ask for in the form in which they ask; only what changes without a generation is looked at
 * anew for each decision.
 *
 * A decision over ten thousand hosts waits for memory more than for the processor. So what is asked of every host is a
 * field of its own and comes first, and what many hosts have in common they share.
 */

import { HostHardware, type SupportedGuest } from "../../proto/gen/ferry/v1/host.js";
import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import { hardwareTraits } from "../fleet/hardware-traits.js";
import { freeOf } from "../placement/shortage.js";
import { DEFAULT_ZONE, type HostAggregate } from "../store/aggregates.js";
import type { HostRow } from "../store/hosts.js";
import type { InCommon } from "./in-common.js";

export interface HostState {
  readonly name: string;
  /** Of the store, when it was read. */
  readonly generation: number;
  /** up | down | unknown, at the last look. */
  state: string;
  /** A person says so, whatever its agent says. */
  readonly isForcedDown: boolean;
  /** Servers that are being made, moved or resized here, at the last look. */
  ioOperations: number;
  readonly status: "enabled" | "disabled";
  /** Why it may take no server; empty when its hook is proven. */
  readonly problem: string;
  /** Out of `free`. */
  readonly freeVcpus: number;
  readonly freePcpus: number;
  readonly freeRamMib: number;
  readonly freeDiskGib: number;
  /** 0 when it is not known. */
  readonly qemuVersion: number;
  readonly freeDevices: number;
  readonly zone: string;
  readonly guests: readonly SupportedGuest[];
  readonly traits: ReadonlySet<string>;
  /** Values of all its aggregates by key; a value with commas is several, as Nova reads them. */
  readonly metadata: ReadonlyMap<string, ReadonlySet<string>>;
  /** One of its aggregates has a `…_weight_multiplier` of its own. */
  readonly hasOwnMultipliers: boolean;
  /** Ids of the servers that hold something of it: at home here, on their way here, or to be had back here. */
  readonly servers: ReadonlySet<string>;
  /** What may still be booked, by resource class. */
  readonly free: ReadonlyMap<string, number>;
  readonly inventories: readonly Inventory[];
  /** Absent until its agent has reported it. */
  readonly hardware: HostHardware | undefined;
  readonly disabledReason: string;
}

/** What the store holds of a host, beside its row. */
export interface Around {
  readonly inventories: readonly Inventory[];
  readonly servers: ReadonlySet<string>;
  readonly aggregates: readonly HostAggregate[];
}

export function hostState(
  row: HostRow,
  { inventories, servers, aggregates }: Around,
  common: InCommon,
): HostState {
  const hardware =
    row.hardware === "" ? undefined : HostHardware.fromJSON(JSON.parse(row.hardware) as unknown);
  const free = new Map(inventories.map(inventory => [inventory.resourceClass, freeOf(inventory)]));
  const traits = [...(JSON.parse(row.traits) as string[]), ...hardwareTraits(hardware)];
  const guests = hardware?.guests ?? [];
  return {
    name: row.name,
    generation: row.generation,
    state: "unknown",
    isForcedDown: row.forced_down === 1,
    ioOperations: 0,
    status: row.status === "enabled" ? "enabled" : "disabled",
    problem: row.quarantine || row.hook_problem,
    freeVcpus: free.get("VCPU") ?? 0,
    freePcpus: free.get("PCPU") ?? 0,
    freeRamMib: free.get("MEMORY_MB") ?? 0,
    freeDiskGib: free.get("DISK_GB") ?? 0,
    qemuVersion: hardware?.qemuVersion ?? 0,
    freeDevices: hardware?.free?.devices.length ?? 0,
    guests: common.one(`guests ${JSON.stringify(guests)}`, () => guests),
    traits: common.one(`traits ${traits.join()}`, () => new Set(traits)),
    ...common.one(`place ${JSON.stringify(aggregates)}`, () => placeOf(aggregates)),
    servers,
    free,
    inventories,
    hardware,
    disabledReason: row.disabled_reason,
  };
}

function placeOf(
  aggregates: readonly HostAggregate[],
): Pick<HostState, "zone" | "metadata" | "hasOwnMultipliers"> {
  const zoned = aggregates.find(({ availabilityZone }) => availabilityZone !== "");
  const metadata = metadataOf(aggregates);
  return {
    zone: zoned?.availabilityZone ?? DEFAULT_ZONE,
    metadata,
    hasOwnMultipliers: [...metadata.keys()].some(key => key.endsWith("_weight_multiplier")),
  };
}

function metadataOf(aggregates: readonly HostAggregate[]): Map<string, Set<string>> {
  const metadata = new Map<string, Set<string>>();
  for (const aggregate of aggregates) {
    for (const [key, value] of Object.entries(aggregate.metadata)) {
      const values = metadata.get(key) ?? new Set<string>();
      for (const one of value.split(",")) values.add(one.trim());
      metadata.set(key, values);
    }
  }
  return metadata;
}
