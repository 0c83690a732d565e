/** What a fake agent remembers across its own death: guests, operations by key, tombstones, what a migration needs. */

import type { PerformResult, SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";

export interface FakeGuest {
  role: "active" | "fenced" | "incoming" | "retired" | "none";
  incarnation: string;
  epoch: number;
  term: number;
  mayHaveRun: boolean;
}

export interface FakeOperation {
  readonly requestHash: string;
  state: "accepted" | "done" | "failed";
  result?: PerformResult;
  fault?: FaultInfo;
}

export type Side = "source" | "target";

/** One side of a migration at this host; both may be here. */
export interface FakeDocument {
  incarnation: string;
  manifest: SourceManifest;
  plan?: TargetPlan;
  sourceHost?: string;
  /** Of the machine as it will be defined. */
  vcpus: number;
  hasReceipt: boolean;
  /** The second receipt is written, too. */
  isPrepared: boolean;
  fence: "none" | "fenced" | "retired";
}

export class FakeJournal {
  readonly guests = new Map<string, FakeGuest>();
  readonly operations = new Map<string, FakeOperation>();
  readonly tombstones = new Map<string, string>();
  readonly #documents = new Map<string, FakeDocument>();

  document(migrationId: string, side: Side): FakeDocument | undefined {
    return this.#documents.get(`${migrationId}/${side}`);
  }

  putDocument(migrationId: string, side: Side, document: FakeDocument): void {
    this.#documents.set(`${migrationId}/${side}`, document);
  }

  removeDocuments(migrationId: string): void {
    for (const side of ["source", "target"]) this.#documents.delete(`${migrationId}/${side}`);
  }

  guest(serverId: string): FakeGuest {
    const known = this.guests.get(serverId);
    if (known !== undefined) return known;
    const fresh: FakeGuest = { role: "none", incarnation: "", epoch: 0, term: 0, mayHaveRun: false };
    this.guests.set(serverId, fresh);
    return fresh;
  }
}
