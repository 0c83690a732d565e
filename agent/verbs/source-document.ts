/**
 * What the verbs at the source leave in the journal for those after them: what was prepared, what was proven of the
 * storage, and what the source was when it had stopped.
 */

import { Fault } from "../../proto/fault.js";
import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FenceKey } from "../fence/fence-record.js";
import type { Guest } from "../journal/guests.js";
import type { Call, World } from "./verb.js";

/** Written by prepare-source. */
export interface SourceDocument {
  readonly manifest: SourceManifest;
  readonly readOnlyDrives: "refuse" | "carry";
  /** Whether disks on block devices may be copied; absent: prepared by a release that did not. */
  readonly blockDisks?: "refuse" | "copy";
  readonly incarnation: string;
  /** The server's row as it is here: what it is again when the migration is taken back. */
  readonly row: Pick<Guest, "disks" | "mayHaveRun">;
}

/** Which files of this migration stay where they are, as prove-storage has found with one target, and which devices it copies. */
export interface StorageDocument {
  readonly peerHost: string;
  readonly shared: readonly string[];
  /** Ids of disks on block devices; absent: none. */
  readonly copiedDevices?: readonly string[];
}

/** Written by fence-incarnation before the first file is moved: afterwards the paths of the manifest are empty. */
export interface FinalDocument {
  readonly manifest: SourceManifest;
  readonly peerHost: string;
}

export function sourceDocument(call: Call, world: World): SourceDocument {
  const document = world.documents.get<SourceDocument>(call.serverId, call.migrationId, "source");
  if (document !== undefined) return document;
  throw new Fault("refused", `migration ${call.migrationId} was never prepared at this source`);
}

export const storageDocument = (call: Call, world: World): StorageDocument | undefined =>
  world.documents.get<StorageDocument>(call.serverId, call.migrationId, "storage");

export const finalDocument = (call: Call, world: World): FinalDocument | undefined =>
  world.documents.get<FinalDocument>(call.serverId, call.migrationId, "final");

export const fenceKey = ({ serverId, migrationId }: Call, incarnation: string): FenceKey => ({
  server: serverId,
  migration: migrationId,
  incarnation,
});
