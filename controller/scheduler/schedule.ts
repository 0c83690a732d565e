/**
 * Chooses among hosts, and answers for all of them: who would do, how well, and for each of the others every reason
 * why not. A dry run is this answer; a migration takes the good ones in this order.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import type { Host, HostVerdict } from "../../proto/gen/ferry/v1/model.js";
import type { ScheduleRequest } from "./filter.js";
import { FILTERS } from "./filters.js";
import { weigh } from "./weighers.js";

/** Best first, then those that will not do; equals by name. */
export function schedule(hosts: readonly Host[], request: ScheduleRequest): HostVerdict[] {
  const judged = hosts.map(host => ({
    host,
    refusals: FILTERS.flatMap(({ name, refusals }) =>
      refusals(host, request).map(reason => ({ name, reason })),
    ),
  }));
  const weights = weigh(judged.filter(({ refusals }) => refusals.length === 0).map(({ host }) => host));
  return judged
    .map(({ host, refusals }) => ({
      host: host.name,
      ok: refusals.length === 0,
      weight: weights.get(host.name) ?? 0,
      reasons: refusals.map(({ reason }) => reason),
      refusedBy: refusals.map(({ name }) => name),
    }))
    .sort(
      (one, other) =>
        Number(other.ok) - Number(one.ok) || other.weight - one.weight || (one.host < other.host ? -1 : 1),
    );
}

/** The hosts that will do, best first; refused with one sentence when there is none. */
export function chosenHosts(verdicts: readonly HostVerdict[], { requestedHost }: ScheduleRequest): string[] {
  const good = verdicts.filter(verdict => verdict.ok).map(verdict => verdict.host);
  if (good.length > 0) return good;
  throw requestedHost === "" ? noneFits(verdicts) : requestedRefused(verdicts, requestedHost);
}

function requestedRefused(verdicts: readonly HostVerdict[], host: string): Fault {
  const verdict = verdicts.find(candidate => candidate.host === host);
  if (verdict === undefined) {
    return new Fault("not-found", `Compute host ${host} could not be found.`, {
      fix: "ferry host list shows the hosts",
    });
  }
  const [first] = verdict.reasons;
  return first === undefined ? new Fault("no-valid-host", `host ${host} will not do`) : fromFaultInfo(first);
}

function noneFits(verdicts: readonly HostVerdict[]): Fault {
  const reasons = verdicts.flatMap(({ host, reasons: [first] }) =>
    first ? [`${host}: ${first.message}`] : [],
  );
  const why = reasons.length === 0 ? "there is no other host" : reasons.join("; ");
  return new Fault("no-valid-host", `No valid host was found. ${why}`, {
    have: `${verdicts.length} hosts, none suitable`,
    need: "one host that is up, enabled and has room",
    fix: "see every reason with --dry-run",
  });
}
