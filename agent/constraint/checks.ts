/**
 * Everything about a target that can be refused before the guest is stopped: one table of named checks, one evaluator.
 *
 * Pure: `ferry server check` and the claim of a migration judge the same facts by the same table, so they cannot
 * disagree on an unchanged host. Each check has a row in docs/constraints.md.
 */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { CheckResult, FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { Check, Objection } from "./check.js";
import { CPU_CHECKS } from "./cpu-checks.js";
import { DEVICE_CHECKS } from "./device-checks.js";
import { FIRMWARE_CHECKS } from "./firmware-checks.js";
import { HARDWARE_CHECKS } from "./hardware-checks.js";
import { LIVE_CHECKS } from "./live-checks.js";
import { DEFINITION_CHECKS, MACHINE_CHECKS } from "./machine-checks.js";
import { MEMORY_CHECKS } from "./memory-checks.js";
import { PLACE_CHECKS } from "./place-checks.js";
import type { TargetFacts } from "./target-facts.js";

/** In the order in which a person would want to read the refusals. */
export const CHECKS: readonly Check[] = [
  ...PLACE_CHECKS,
  ...MACHINE_CHECKS,
  ...CPU_CHECKS,
  ...MEMORY_CHECKS,
  ...HARDWARE_CHECKS,
  ...FIRMWARE_CHECKS,
  ...DEVICE_CHECKS,
  ...LIVE_CHECKS,
  ...DEFINITION_CHECKS,
];

/** One result per check. */
export const evaluate = (facts: TargetFacts, manifest: SourceManifest): CheckResult[] =>
  CHECKS.map(({ name, source, informational = false, judge, live, holdsLive = false }) => {
    const objections = judge(facts, manifest);
    const onlyLive = live?.(facts, manifest) ?? [];
    const held = informational && !holdsLive ? [] : objections;
    return {
      name,
      outcome: outcomeOf(objections),
      informational,
      source,
      reasons: objections.map(({ reason }) => reason),
      liveOutcome: outcomeOf([...held, ...onlyLive]),
      liveReasons: onlyLive.map(({ reason }) => reason),
    };
  });

/** All that stands in the way; empty means that nothing known does. */
export const refusalsOf = (results: readonly CheckResult[]): FaultInfo[] =>
  results.filter(({ informational }) => !informational).flatMap(({ reasons }) => reasons);

function outcomeOf(objections: readonly Objection[]): string {
  if (objections.length === 0) return "ok";
  return objections.some(({ outcome }) => outcome === "refused") ? "refused" : "unknown";
}
