/**
 * What a check is: one named question to a target host, answered from named facts.
 *
 * No objection is `ok`. A fact that could not be read is `unknown`, which refuses as well: unknown is not yes. An
 * informational check is reported and never held against the host.
 */

import type { FaultCode, FaultDetail } from "../../proto/fault.js";
import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import type { TargetFacts } from "./target-facts.js";

export interface Objection {
  readonly outcome: "refused" | "unknown";
  readonly reason: FaultInfo;
}

type Judge = (target: TargetFacts, manifest: SourceManifest) => readonly Objection[];

export interface Check {
  readonly name: string;
  /** The file, call or definition that the answer comes from. */
  readonly source: string;
  readonly informational?: boolean;
  readonly judge: Judge;
  /** What would stand in the way of moving the guest while it runs, beside that. */
  readonly live?: Judge;
  /** Informational for a cold move only. */
  readonly holdsLive?: boolean;
}

const objection =
  (code: FaultCode) =>
  (message: string, detail: FaultDetail = {}): Objection => ({
    outcome: "refused",
    reason: refusal(code, message, detail),
  });

export const refused = objection("refused");
/** Something has the name, the uuid or the place. */
export const taken = objection("already-exists");
/** Another migration has the server. */
export const conflicting = objection("conflict");

/** `what` could not be read from `where`. */
export const unknown = (what: string, where: string): Objection => ({
  outcome: "unknown",
  reason: refusal("refused", `${what} is not known`, {
    have: "unknown",
    need: what,
    fix: `see why it cannot be read: ${where}`,
  }),
});
