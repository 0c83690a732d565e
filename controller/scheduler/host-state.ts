/**
 * A host as the scheduler sees it. Made once per generation of the host and shared by every decision until it changes,
 * so it holds what filters ask for in the form in which they ask; only what changes without a generation is looked at
 * anew for each decision.
 */

import type { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import type { Inventory } from "../../proto/gen/ferry/v1/model.js";

export interface HostState {
  readonly name: string;
  /** enabled | disabled */
  readonly status: string;
  readonly disabledReason: string;
  /** Why it may take no server; empty when its hook is proven. */
  readonly problem: string;
  readonly inventories: readonly Inventory[];
  /** What may still be booked, by resource class. */
  readonly free: ReadonlyMap<string, number>;
  /** What weighers ask of every host, out of `free`. */
  readonly freeVcpus: number;
  readonly freeRamMib: number;
  readonly freeDiskGib: number;
  readonly traits: ReadonlySet<string>;
  readonly zone: string;
  /** Values of all its aggregates by key; a value with commas is several, as Nova reads them. */
  readonly metadata: ReadonlyMap<string, ReadonlySet<string>>;
  /** One of its aggregates has a `…_weight_multiplier` of its own. */
  readonly hasOwnMultipliers: boolean;
  /** Ids of the servers that hold something of it: at home here, on their way here, or to be had back here. */
  readonly servers: ReadonlySet<string>;
  /** Absent until its agent has reported it. */
  readonly hardware: HostHardware | undefined;

  /** up | down | unknown, at the last look. */
  state: string;
  /** Servers that are being made, moved or resized here, at the last look. */
  ioOperations: number;
}
