/**
 * What the agent's journal holds about one fenced incarnation, from the intent until its files are removed.
 *
 *     fencing ─▶ fenced ─▶ retired              the source at confirm, the target after it was withdrawn
 *        └─────────┴─────▶ unfencing ─▶ active   undone: what was saved is what is there again
 *
 * A target that is withdrawn once more after it was retired is fenced again, without any files.
 * `fencing`, `fenced`, `unfencing` and `retired` deny the incarnation; only `active` does not.
 */

import type { FileIdentity } from "../os/files.js";
import type { Denial } from "./guest-file.js";
import type { FenceStatement } from "./receipt-facts.js";
import type { AsideFile } from "./set-aside.js";

export type FenceState = "fencing" | "fenced" | "unfencing" | "active" | "retired";

/** A file of the incarnation: active layers, NVRAM, the vTPM's directory. Backing files are never named (R10). */
export interface IncarnationFile {
  readonly id: string;
  readonly path: string;
  /** `copied` and `re-created` are moved aside; `shared` and `volume` stay where they are (R1). */
  readonly mode: "copied" | "re-created" | "shared" | "volume";
  /** What prepare saw; a difference means that it was changed behind Ferry (R17). */
  readonly identity?: FileIdentity;
}

/** A block device that the incarnation uses: not a file, so that no rename or removal can ever be given one. */
export interface FencedDevice {
  /** As in the receipt: "vdb/0". */
  readonly id: string;
  readonly path: string;
  /** As its host knows it again. */
  readonly identity: string;
  /** The target makes a file of it; absent: the target has it as well. */
  readonly isCopied?: boolean;
  /** Of one that is copied, once nobody had it open any more: what differs later was written by somebody else. */
  readonly asFenced?: { readonly kernelId: string; readonly writes: string };
}

/** Everything an undo needs to make the domain what it was (R18). */
export interface SavedDomain {
  readonly name: string;
  /** With security information. */
  readonly inactiveXml: string;
  readonly autostart: boolean;
  readonly snapshotXmls: readonly string[];
  readonly checkpointXmls: readonly string[];
}

export interface FencedFile extends AsideFile {
  readonly mode: IncarnationFile["mode"];
  /** At the time of the fence: what a revert would give back. */
  readonly sizeBytes: number;
  readonly mtimeNs: string;
}

/** A named person has declared the other side's host dead. */
export interface Declaration {
  readonly host: string;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What a record is found by. */
export interface FenceKey {
  readonly server: string;
  readonly migration: string;
  readonly incarnation: string;
}

export interface FenceRecord extends FenceKey {
  readonly kind: FenceStatement["kind"];
  readonly state: FenceState;
  readonly epoch: number;
  /** Undefined: the incarnation was never defined here, or its saved state has been removed. */
  readonly saved?: SavedDomain;
  readonly files: readonly FencedFile[];
  /** None: it has none, or was fenced by a release that knew of none. */
  readonly devices?: readonly FencedDevice[];
  /** The statement that stands; none once it is revoked (R4). */
  readonly statement?: FenceStatement;
  /** The other side's statement that this record was undone with. */
  readonly mirror?: FenceStatement;
  /** Or a person's word in its place (R21). */
  readonly declared?: Declaration;
}

/** The part of the agent's journal that fencing needs. The records hold secrets of the domain: 0600. */
export interface FenceJournal {
  find(key: FenceKey): Promise<FenceRecord | undefined>;
  /** Insert or replace by its key; on stable storage when it resolves. */
  put(record: FenceRecord): Promise<void>;
}

export const isDenied = (record: FenceRecord): boolean => record.state !== "active";

/** The sentence that a person sees who starts the incarnation by hand. */
export const denialReason = ({ migration }: Pick<FenceRecord, "migration">): string =>
  `migration ${migration} holds this server back on this host; see "ferry migration show ${migration}"`;

/** For `rebuildDenials`; only of records that are their server's latest on this host. */
export const denialOf = (record: FenceRecord): Denial => ({
  server: record.server,
  incarnation: record.incarnation,
  reason: denialReason(record),
});
