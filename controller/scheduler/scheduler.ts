/**
 * Chooses among hosts. One decision reads the hosts, asks the restrictions and the enabled filters of each until one
 * refuses, weighs those that pass, and answers the best with its alternates; why the others were refused is worked out
 * only if none is left. A dry run asks everything of every host,
 * so that it can say all that stands in the way: the same filters, the same weights.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import type { HostVerdict } from "../../proto/gen/ferry/v1/model.js";
import type { Queries } from "../store/schema.js";
import { type Check, type Filter, refusalsOf } from "./filter.js";
import { FILTERS } from "./filters/all.js";
import type { HostState } from "./host-state.js";
import type { HostStates } from "./host-states.js";
import { type ScheduleRequest, scheduleRequest, type Wanted } from "./request.js";
import { RESTRICTIONS } from "./restrictions.js";
import type { SchedulerSettings } from "./settings.js";
import { weigh } from "./weighers.js";

interface Dependencies {
  readonly queries: Queries;
  readonly hosts: HostStates;
  readonly settings: SchedulerSettings;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Scheduler {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** The best host and its alternates, at most `count`; refused in one sentence when none will do. */
  async select(wanted: Wanted, count: number): Promise<string[]> {
    const { queries, hosts, settings, random } = this.#deps;
    const request = await scheduleRequest(queries, wanted);
    refuseUnsupportedPolicy(request, settings);
    return selectHosts(await hosts.read(), request, settings, { count, random });
  }

  /** The same for whoever can ask again: `unreachable` while hosts may yet be heard of. */
  async selectWhenHeard(wanted: Wanted, count: number): Promise<string[]> {
    requireHeard(await this.#deps.hosts.read());
    return this.select(wanted, count);
  }

  /** Every host with every reason; best first, then those that will not do. */
  async judge(wanted: Wanted): Promise<HostVerdict[]> {
    const { queries, hosts, settings } = this.#deps;
    const request = await scheduleRequest(queries, wanted);
    return judgeHosts(await hosts.read(), request, settings);
  }
}

/** A controller that has just started has heard of nobody yet, which is not a no: after three heartbeats a host is down. */
function requireHeard(hosts: readonly HostState[]): void {
  const unheard = hosts.filter(({ state, status }) => state === "unknown" && status === "enabled");
  const [first] = unheard;
  if (first === undefined) return;
  const more = unheard.length === 1 ? "" : ` and ${unheard.length - 1} more`;
  throw new Fault("unreachable", `not heard of since the controller started: ${first.name}${more}`);
}

interface NamedCheck {
  readonly name: string;
  readonly check: Check;
}

/** Force leaves what is a fact: restrictions without the filters' advice. */
function checksFor(request: ScheduleRequest, settings: SchedulerSettings): NamedCheck[] {
  const enabled = request.force ? [] : settings.enabled_filters.map(name => FILTERS[name]);
  return [...RESTRICTIONS, ...enabled].flatMap((filter: Filter) => {
    const check = filter.prepare(request, settings);
    return check === undefined ? [] : [{ name: filter.name, check }];
  });
}

export function selectHosts(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  settings: SchedulerSettings,
  { count, random }: { readonly count: number; readonly random: () => number },
): string[] {
  const checks = checksFor(request, settings);
  const passing = hosts.filter(host => passesAll(checks, host));
  if (passing.length === 0) throw noValidHost(hosts, checks, request);
  const weights = weigh(passing, request, settings);
  const best = bestOf(passing, weights, Math.max(count, settings.host_subset_size));
  return spread(best, settings.host_subset_size, random)
    .slice(0, count)
    .map(({ name }) => name);
}

function passesAll(checks: readonly NamedCheck[], host: HostState): boolean {
  for (const { check } of checks) if (!check.passes(host)) return false;
  return true;
}

export function judgeHosts(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  settings: SchedulerSettings,
): HostVerdict[] {
  const checks = checksFor(request, settings);
  const judged = hosts.map(host => {
    const reasons = checks.flatMap(({ name, check }) =>
      refusalsOf(check, host).map(reason => ({ name, reason })),
    );
    return { host, reasons };
  });
  const passing = judged.filter(({ reasons }) => reasons.length === 0).map(({ host }) => host);
  const weights = weigh(passing, request, settings);
  const weightOf = new Map(passing.map((host, index) => [host.name, weights[index] ?? 0]));
  return judged
    .map(({ host, reasons }) => ({
      host: host.name,
      ok: reasons.length === 0,
      weight: weightOf.get(host.name) ?? 0,
      reasons: reasons.map(({ reason }) => reason),
      refusedBy: reasons.map(({ name }) => name),
    }))
    .sort(
      (one, other) =>
        Number(other.ok) - Number(one.ok) || other.weight - one.weight || (one.host < other.host ? -1 : 1),
    );
}

/** The `count` heaviest, heaviest first; equals by name. Hosts come by name, so a later equal never overtakes. */
function bestOf(hosts: readonly HostState[], weights: Float64Array, count: number): HostState[] {
  const best: { host: HostState; weight: number }[] = [];
  hosts.forEach((host, index) => {
    const weight = weights[index] ?? 0;
    const last = best.at(-1);
    if (best.length === count && last !== undefined && weight <= last.weight) return;
    const place = best.findIndex(other => weight > other.weight);
    best.splice(place === -1 ? best.length : place, 0, { host, weight });
    if (best.length > count) best.pop();
  });
  return best.map(({ host }) => host);
}

/** One of the best few goes first, so that many decisions at once do not all want the same host. */
function spread(best: readonly HostState[], subset: number, random: () => number): HostState[] {
  const size = Math.min(subset, best.length);
  const chosen = size <= 1 ? 0 : Math.floor(random() * size);
  const [first] = best.slice(chosen, chosen + 1);
  return first === undefined ? [] : [first, ...best.filter(host => host !== first)];
}

/** Hosts that are named one by one for each filter. */
const HOSTS_NAMED = 5;

function noValidHost(
  hosts: readonly HostState[],
  checks: readonly NamedCheck[],
  { requestedHost }: ScheduleRequest,
): Fault {
  if (requestedHost !== "") return requestedRefused(hosts, checks, requestedHost);
  const byCheck = Map.groupBy(hosts, host => checks.find(({ check }) => !check.passes(host)));
  const why = [...byCheck].map(([refusing, refused]) => {
    const named = refused.slice(0, HOSTS_NAMED).map(host => `${host.name}: ${firstSentence(host, refusing)}`);
    const more = refused.length - named.length;
    return [...named, ...(more > 0 ? [`and ${more} hosts likewise`] : [])].join("; ");
  });
  return new Fault("no-valid-host", `No valid host was found. ${why.join("; ") || "there is no host"}`, {
    have: `${hosts.length} hosts, none suitable`,
    need: "one host that is up, enabled and has room",
    fix: "see every reason with --dry-run",
  });
}

/** What is against the host that was asked for; that the others were not is nobody's question. */
function requestedRefused(hosts: readonly HostState[], checks: readonly NamedCheck[], name: string): Fault {
  const host = hosts.find(candidate => candidate.name === name);
  if (host === undefined) {
    return new Fault("not-found", `Compute host ${name} could not be found.`, {
      fix: "ferry host list shows the hosts",
    });
  }
  const [reason] = checks.flatMap(({ check }) => refusalsOf(check, host));
  return reason === undefined
    ? new Fault("no-valid-host", `host ${name} will not do`)
    : fromFaultInfo(reason);
}

const firstSentence = (host: HostState, refusing: NamedCheck | undefined): string =>
  refusing === undefined ? "will not do" : (refusalsOf(refusing.check, host)[0]?.message ?? "will not do");

const POLICY_FILTERS = {
  affinity: "ServerGroupAffinityFilter",
  "anti-affinity": "ServerGroupAntiAffinityFilter",
} as const;

/** A promise that nobody would keep is not made. */
function refuseUnsupportedPolicy({ group }: ScheduleRequest, { enabled_filters }: SchedulerSettings): void {
  if (group?.policy !== "affinity" && group?.policy !== "anti-affinity") return;
  const filter = POLICY_FILTERS[group.policy];
  if (enabled_filters.includes(filter)) return;
  throw new Fault("unsupported", `ServerGroup policy is not supported: ${filter} not configured`, {
    have: `group ${group.name} of policy ${group.policy}`,
    fix: `add ${filter} to enabled_filters in controller.toml`,
  });
}
