/**
 * `ferry server check`: the questions of a migration without the migration. The scheduler, the source, every target and
 * the path between them are asked what they would be asked before the guest is stopped; nothing is booked anywhere.
 */

import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { PathOffer, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { CheckServerResponse, HostCheck, MoveEstimate } from "../../proto/gen/ferry/v1/controller.js";
import type { CheckResult, FaultInfo, HostVerdict } from "../../proto/gen/ferry/v1/model.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { Scheduler } from "../scheduler/scheduler.js";
import { findServer, type ServerRecord } from "../store/servers.js";
import type { Transactions } from "../store/store.js";
import { type BlockDisks, checkedBlockDisks } from "./block-disks.js";
import { checkedNetworkMap, type NetworkMap, networkMapOn } from "./network-map.js";
import { anywhereElse, wantedOf } from "./schedule-request.js";

export interface CheckQuestion {
  /** Name or id. */
  readonly server: string;
  /** Empty: every host but the source. */
  readonly host: string;
  /** refuse | carry; empty: refuse. */
  readonly readOnlyDrives: string;
  readonly networkMap: NetworkMap;
  /** refuse | copy: disks on block devices that a target does not have; absent: refuse. */
  readonly blockDisks?: string | undefined;
  /** The caller may move servers to a host of another cell. */
  readonly crossCell: boolean;
}

interface Dependencies {
  readonly store: Pick<Transactions, "queries">;
  readonly scheduler: Scheduler;
  readonly agent: AgentPort;
}

/** What is asked besides the checks of a target's own table. */
export const FLEET_CHECKS = {
  scheduler: "the scheduler's filters, over the last heartbeats and the bookings",
  agent: "the answer of the host's agent",
  "transfer-path": "a probe of the target's data port by the source's agent",
} as const;

/** So many targets are asked at once. */
const TARGETS_AT_ONCE = 8;

export async function checkServer(
  { server: nameOrId, host, readOnlyDrives, networkMap, blockDisks: onDevices, crossCell }: CheckQuestion,
  deps: Dependencies,
  signal: AbortSignal,
): Promise<CheckServerResponse> {
  const server = await findServer(deps.store.queries, nameOrId);
  const verdicts = await verdictsOn(server, host, deps);
  const blockDisks = checkedBlockDisks(onDevices);
  const asked = { serverId: server.id, readOnlyDrives: readOnlyDrives || "refuse", blockDisks };
  const { manifest, refusals } = await deps.agent.describeSource(server.host, asked, signal);
  if (manifest === undefined) return { refusals, hosts: [] };
  const subject = { server, manifest, networkMap: checkedNetworkMap(networkMap), blockDisks, crossCell };
  const inquiry = new Inquiry(subject, deps, signal);
  const answers: TargetAnswer[] = [];
  for (let first = 0; first < verdicts.length; first += TARGETS_AT_ONCE) {
    const batch = verdicts.slice(first, first + TARGETS_AT_ONCE);
    answers.push(...(await Promise.all(batch.map(verdict => inquiry.ask(verdict)))));
  }
  const hosts: HostCheck[] = [];
  // One at a time: measured together, the paths would slow each other down.
  for (const answer of answers) hosts.push(await inquiry.measure(answer));
  return { refusals, hosts };
}

async function verdictsOn(
  server: ServerRecord,
  host: string,
  { scheduler }: Dependencies,
): Promise<HostVerdict[]> {
  const all = await scheduler.judge(wantedOf(server, anywhereElse(server)));
  const verdicts = all.filter(verdict =>
    host === "" ? verdict.host !== server.host : verdict.host === host,
  );
  if (host === "" || verdicts.length > 0) return verdicts;
  throw new Fault("not-found", `Compute host ${host} could not be found.`, {
    have: all.map(verdict => verdict.host).join(", "),
    fix: "ferry host list shows the hosts",
  });
}

interface TargetAnswer {
  readonly host: string;
  readonly checks: readonly CheckResult[];
  /** Absent when the target did not answer or must not be asked. */
  readonly offer: PathOffer | undefined;
}

interface Subject {
  readonly server: ServerRecord;
  readonly manifest: SourceManifest;
  readonly networkMap: NetworkMap;
  readonly blockDisks: BlockDisks | undefined;
  readonly crossCell: boolean;
}

class Inquiry {
  readonly #networkMap: NetworkMap;
  readonly #server: ServerRecord;
  readonly #manifest: SourceManifest;
  readonly #blockDisks: BlockDisks | undefined;
  readonly #crossCell: boolean;
  readonly #deps: Dependencies;
  readonly #signal: AbortSignal;

  constructor(
    { server, manifest, networkMap, blockDisks, crossCell }: Subject,
    deps: Dependencies,
    signal: AbortSignal,
  ) {
    this.#networkMap = networkMap;
    this.#server = server;
    this.#manifest = manifest;
    this.#blockDisks = blockDisks;
    this.#crossCell = crossCell;
    this.#deps = deps;
    this.#signal = signal;
  }

  async ask({ host, reasons }: HostVerdict): Promise<TargetAnswer> {
    const scheduler = resultOf("scheduler", reasons.length === 0 ? "ok" : "refused", reasons);
    if (host === this.#server.host) return { host, checks: [scheduler], offer: undefined };
    const { id: serverId, epoch, host: sourceHost } = this.#server;
    const prepare = {
      manifest: this.#manifest,
      sourceHost,
      networkMap: networkMapOn(this.#networkMap, host),
      flavor: undefined,
      extraSpecs: this.#server.flavor.extraSpecs,
      crossCell: this.#crossCell,
      blockDisks: this.#blockDisks,
    };
    try {
      const request = { serverId, epoch, prepare };
      const { checks, offer } = await this.#deps.agent.checkTarget(host, request, this.#signal);
      return { host, checks: [scheduler, resultOf("agent", "ok"), ...checks], offer };
    } catch (error) {
      return { host, checks: [scheduler, this.#failed("agent", error)], offer: undefined };
    }
  }

  async measure({ host, checks, offer }: TargetAnswer): Promise<HostCheck> {
    if (offer === undefined) return this.#judged(host, checks, unmeasured("the host was not asked"));
    const { id: serverId, epoch, host: sourceHost } = this.#server;
    try {
      const request = { serverId, epoch, targetHost: host, offer };
      const { bytesPerSecond } = await this.#deps.agent.measurePath(sourceHost, request, this.#signal);
      return this.#judged(host, [...checks, resultOf("transfer-path", "ok")], measured(bytesPerSecond));
    } catch (error) {
      const path = this.#failed("transfer-path", error);
      return this.#judged(host, [...checks, path], unmeasured("the path could not be measured"));
    }
  }

  /** A fault is the host's answer; a caller who has gone gets none. */
  #failed(name: keyof typeof FLEET_CHECKS, thrown: unknown): CheckResult {
    const fault = asFault(thrown);
    if (this.#signal.aborted || fault.code === "internal") throw fault;
    return resultOf(name, fault.isUnknown ? "unknown" : "refused", [toFaultInfo(fault)]);
  }

  #judged(host: string, checks: readonly CheckResult[], rate: Rate): HostCheck {
    const ok = checks.every(({ outcome, informational }) => outcome === "ok" || informational);
    return { host, ok, checks: [...checks], estimate: estimateOf(this.#manifest.dataBytes, rate) };
  }
}

type Rate = { readonly bytesPerSecond: number | undefined; readonly unknown: string };

const measured = (bytesPerSecond: number): Rate =>
  bytesPerSecond > 0 ? { bytesPerSecond, unknown: "" } : unmeasured("the measurement gave no rate");
const unmeasured = (unknown: string): Rate => ({ bytesPerSecond: undefined, unknown });

/** An estimate: the few MiB of a measurement do not fill a long fat pipe. */
const estimateOf = (bytes: number, { bytesPerSecond, unknown }: Rate): MoveEstimate => ({
  bytes,
  bytesPerSecond,
  copySeconds: bytesPerSecond === undefined ? undefined : bytes / bytesPerSecond,
  unknown,
});

const resultOf = (
  name: keyof typeof FLEET_CHECKS,
  outcome: "ok" | "refused" | "unknown",
  reasons: readonly FaultInfo[] = [],
): CheckResult => ({
  name,
  outcome,
  informational: false,
  source: FLEET_CHECKS[name],
  reasons: [...reasons],
  liveOutcome: outcome,
  liveReasons: [],
});
