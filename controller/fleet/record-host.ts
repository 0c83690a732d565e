/**
 * What a heartbeat changes in the row of its host, and what there is to tell of it.
 *
 * Hosts make themselves known: the first heartbeat inserts the row. A host that is not what it was (restored from a
 * backup, a clone of another one) is recorded with the reason why it is not trusted (SAFETY R14).
 */

import type { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import { findHost, type HostRow, insertHost, updateHost } from "../store/hosts.js";
import type { Queries } from "../store/schema.js";
import { suspicionOf } from "./suspicion.js";
import { type HostNews, heardAgain } from "./tell-host.js";

export interface RecordedHost {
  /** The scheduler would see a difference. */
  readonly isNew: boolean;
  /** Why the host is not trusted; empty when it is. */
  readonly quarantine: string;
  /** It has never said what hardware it has. */
  readonly isBare: boolean;
  readonly news: HostNews | undefined;
}

export async function recordHost(
  tx: Queries,
  report: HeartbeatRequest,
  nowMs: number,
): Promise<RecordedHost> {
  const known = await findHost(tx, report.host);
  return known === undefined ? recordFirst(tx, report, nowMs) : recordAgain(tx, known, report, nowMs);
}

async function recordFirst(tx: Queries, report: HeartbeatRequest, nowMs: number): Promise<RecordedHost> {
  await insertHost(tx, {
    name: report.host,
    status: "enabled",
    disabled_reason: "",
    quarantine: "",
    forced_down: 0,
    generation: 0,
    traits: "[]",
    hardware: "",
    ...saidBy(report, nowMs),
    ...identityOf(report),
  });
  const news = { type: "service.create", message: report.hookProblem } as const;
  return { isNew: true, quarantine: "", isBare: report.hardware === undefined, news };
}

async function recordAgain(
  tx: Queries,
  known: HostRow,
  report: HeartbeatRequest,
  nowMs: number,
): Promise<RecordedHost> {
  const said = saidBy(report, nowMs);
  const identity = identityOf(report);
  const quarantine = suspicionOf(known, report) ?? known.quarantine;
  // The highest counter is remembered, whatever a restored host says.
  const incarnation =
    known.install_id === report.installId
      ? Math.max(known.incarnation, report.incarnation)
      : report.incarnation;
  await updateHost(tx, report.host, changed(known, { ...said, ...identity, incarnation, quarantine }));

  const hardware = said.hardware ?? known.hardware;
  const isBack = known.silent === 1;
  const isNew =
    isBack ||
    quarantine !== known.quarantine ||
    report.hookProblem !== known.hook_problem ||
    hardware !== known.hardware;
  const problem = quarantine || report.hookProblem;
  const isChanged = problem !== (known.quarantine || known.hook_problem);
  const words = [
    ...(isBack ? [heardAgain(nowMs - known.last_heartbeat_ms)] : []),
    ...(isChanged ? [problem || "it may take servers"] : []),
  ];
  const news = { type: "service.update", message: words.join("; ") } as const;
  return { isNew, quarantine, isBare: hardware === "", news: words.length > 0 ? news : undefined };
}

/** Mostly it is the time of the heartbeat alone. */
function changed(known: HostRow, said: Partial<HostRow>): Partial<HostRow> {
  const isNew = ([name, value]: [string, unknown]) => known[name as keyof HostRow] !== value;
  return Object.fromEntries(Object.entries(said).filter(isNew));
}

const saidBy = (report: HeartbeatRequest, nowMs: number) => ({
  address: report.address,
  migration_address: report.migrationAddress,
  data_port: report.dataPort,
  agent_version: report.agentVersion,
  boot_id: report.bootId,
  hook_problem: report.hookProblem,
  ...hardwareOf(report),
  last_heartbeat_ms: nowMs,
  silent: 0,
});

/** Told only when it is new. */
const hardwareOf = ({ hardware }: HeartbeatRequest): { hardware?: string } =>
  hardware === undefined ? {} : { hardware: JSON.stringify(HostHardware.toJSON(hardware)) };

const identityOf = (report: HeartbeatRequest) => ({
  machine_id: report.machineId,
  install_id: report.installId,
  instance_id: report.instanceId,
  incarnation: report.incarnation,
});
