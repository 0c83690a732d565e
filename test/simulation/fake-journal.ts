/** What a fake agent remembers across its own death: guests, operations by key, tombstones, what a migration needs. */

import type { PerformResult, SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";

export interface FakeGuest {
  role: "active" | "fenced" | "incoming" | "retired" | "none";
  incarnation: string;
  epoch: number;
  mayHaveRun: boolean;
}

export interface FakeOperation {
  readonly requestHash: string;
  state: "accepted" | "done" | "failed";
  result?: PerformResult;
  fault?: FaultInfo;
}

/** One migration at this host. */
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
  readonly documents = new Map<string, FakeDocument>();
  readonly tombstones = new Map<string, string>();

  guest(serverId: string): FakeGuest {
    const known = this.guests.get(serverId);
    if (known !== undefined) return known;
    const fresh: FakeGuest = { role: "none", incarnation: "", epoch: 0, mayHaveRun: false };
    this.guests.set(serverId, fresh);
    return fresh;
  }
}
