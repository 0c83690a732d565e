/** What a migration is asked with: fixed when it is claimed, never read again from the server's row. */

import type { FencedHost } from "../../proto/gen/ferry/v1/agent.js";
import type { Disk, Flavor } from "../../proto/gen/ferry/v1/model.js";
import type { BlockDisks } from "./block-disks.js";
import type { Compression } from "./compression.js";
import type { DiskFormat } from "./disk-format.js";
import type { NetworkMap } from "./network-map.js";

export interface MigrationRequest {
  readonly migrationId: string;
  readonly serverId: string;
  readonly serverName: string;
  readonly sourceHost: string;
  /** The only host that will do; empty: the scheduler chooses. */
  readonly requestedHost: string;
  /** A resize may stay on the source. */
  readonly mayStay: boolean;
  /** Take that host even where the scheduler advises against it. */
  readonly force: boolean;
  /** That host may be of another cell. */
  readonly crossCell?: boolean;
  /** What the server is booked as, and is again when the migration is taken back. */
  readonly oldFlavor: Flavor;
  /** What it becomes: another one makes the migration a resize. */
  readonly flavor: Flavor;
  /** active | stopped: what the server is again when the migration is taken back. */
  readonly vmState: string;
  readonly powerState: string;
  readonly disks: readonly Disk[];
  readonly shutdownTimeoutMs: number;
  readonly gracefulOnly: boolean;
  /** refuse | carry */
  readonly readOnlyDrives: string;
  readonly networkMap: NetworkMap;
  /** What the target makes of the disks that are copied. */
  readonly diskFormat?: DiskFormat | undefined;
  /** Of disk data on its way; absent: as the source is configured. */
  readonly compression?: Compression | undefined;
  /** Of those that the target does not have; absent: refuse. */
  readonly blockDisks?: BlockDisks | undefined;
  readonly maxDowntimeMs: number;
  readonly maxAttempts: number;
  readonly autoConfirmAfterMs: number;
  /** A head start over others that wait for their turn; absent in migrations of before there were turns. */
  readonly priority?: number;
  readonly requestedBy: string;
  /** Of who asked; may be empty. */
  readonly project: string;
  /** Told later, by a person: this host is dead (SAFETY R21). */
  readonly fencedHost?: FencedHost;
}

type Flavors = Pick<MigrationRequest, "oldFlavor" | "flavor">;

export const isResize = ({ oldFlavor, flavor }: Flavors): boolean => oldFlavor.id !== flavor.id;

/** What was asked, as Nova names it in its answers. */
export const actionOf = (flavors: Flavors): "migrate" | "resize" =>
  isResize(flavors) ? "resize" : "migrate";
