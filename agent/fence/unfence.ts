/**
 * Un-fencing: what was saved becomes what is there again, and only then may start (SAFETY R4, R9).
 *
 * The reverse of `fence` in the order of SAFETY R9, run again from the top after a crash at any instant. It needs
 * the other side's statement, at the present epoch, already verified by the caller (signature, host). That statement
 * is journalled first, and with it this side's own one is revoked: at no instant do both sides hold one.
 */

import { Fault } from "../../proto/fault.js";
import { canonicalDifferences } from "../domain/canonical-xml.js";
import type { FenceEdges } from "./fence.js";
import {
  type Declaration,
  denialReason,
  type FencedDevice,
  type FenceKey,
  type FenceRecord,
  type SavedDomain,
} from "./fence-record.js";
import type { FenceStatement } from "./receipt-facts.js";
import { locate, moveBack } from "./set-aside.js";
import { deviceProblem } from "./why-not-unfence.js";

export interface UnfenceOrder extends FenceKey {
  readonly epoch: number;
}

/** Why the other side cannot run: its own statement, or a person's word for a host that is dead (SAFETY R21). */
export type OtherSide = { readonly mirror: FenceStatement } | { readonly declared: Declaration };

const DIFFERENCES_TOLD = 4;

type Step = (edges: FenceEdges, record: FenceRecord) => Promise<void>;

/** The column of the story: mirror journalled → files back → define → journal active → allow → autostart. */
const LOOSEN: readonly Step[] = [
  moveFilesBack,
  defineSaved,
  journalActive,
  allowIncarnation,
  restoreAutostart,
];

export async function unfence(edges: FenceEdges, order: UnfenceOrder, word: OtherSide): Promise<FenceRecord> {
  const record = await journalWord(edges, order, word);
  for (const step of LOOSEN) await step(edges, record);
  return { ...record, state: "active" };
}

async function journalWord(edges: FenceEdges, order: UnfenceOrder, word: OtherSide): Promise<FenceRecord> {
  const record = await edges.journal.find(order);
  if (!record || record.state === "retired") {
    throw new Fault(
      "conflict",
      `restore ${order.incarnation}: migration ${order.migration} holds nothing of it`,
    );
  }
  if ("mirror" in word) requireMirror(record, order, word.mirror);
  await requireOwnDenial(edges, record);
  if (record.state === "active") return record;
  // Without its statement: revoked in the same write that records the mirror.
  const { statement: _revoked, ...rest } = record;
  const unfencing: FenceRecord = { ...rest, state: "unfencing", epoch: order.epoch, ...word };
  await edges.journal.put(unfencing);
  return unfencing;
}

/** The statement must speak of the other side of this very migration, at this very epoch. */
function requireMirror(record: FenceRecord, order: UnfenceOrder, mirror: FenceStatement): void {
  const problem =
    mirror.kind === record.kind
      ? `is a ${mirror.kind} statement like our own`
      : mirror.server !== order.server || mirror.migration !== order.migration
        ? `speaks of ${mirror.server} in migration ${mirror.migration}`
        : mirror.incarnation === order.incarnation
          ? "speaks of the incarnation that it is to bring back"
          : mirror.epoch !== order.epoch || mirror.facts.refusesBelowEpoch < order.epoch
            ? `is of epoch ${mirror.epoch}, not ${order.epoch}`
            : undefined;
  if (problem === undefined) return;
  throw new Fault("refused", `restore ${order.incarnation}: the other side's receipt ${problem}`);
}

/** A denial by somebody else (a later migration, a quarantine) is not ours to lift. */
async function requireOwnDenial({ guestFiles }: FenceEdges, record: FenceRecord): Promise<void> {
  const verdict = await guestFiles.read(record.server);
  const isForeign =
    (verdict?.kind === "deny" && verdict.reason !== denialReason(record)) ||
    (verdict?.kind === "allow" && verdict.incarnation !== record.incarnation);
  if (!isForeign) return;
  const reason = verdict.kind === "deny" ? verdict.reason : `this host may run ${verdict.incarnation}`;
  throw new Fault("conflict", `restore ${record.incarnation}: ${reason}`);
}

async function moveFilesBack(edges: FenceEdges, record: FenceRecord): Promise<void> {
  // An active record's files belong to the guest again, which may have replaced them since.
  if (record.state === "active") return;
  // All of them or none: a missing one is found before the first one moves.
  for (const device of record.devices ?? []) await requireDevice(edges, device);
  for (const file of record.files) await locate(edges.files, file);
  for (const file of record.files) await moveBack(edges.files, file);
}

async function requireDevice(edges: FenceEdges, device: FencedDevice): Promise<void> {
  const problem = await deviceProblem(edges, device);
  if (problem === undefined) return;
  throw new Fault("corrupt", `restore ${device.id}: ${problem}`, {
    need: device.identity,
    fix: "make the device visible on this host again under its path, then repeat",
  });
}

async function defineSaved(edges: FenceEdges, record: FenceRecord): Promise<void> {
  const { saved } = record;
  if (record.state === "active" || !saved) return;
  const domain = await edges.hypervisor.findDomain(record.server);
  const stored = domain
    ? await edges.hypervisor.domainXml(record.server, "inactive")
    : await edges.hypervisor.define(saved.inactiveXml);
  requireEqual(edges, saved, stored);
}

function requireEqual({ canonicalXml }: FenceEdges, saved: SavedDomain, stored: string): void {
  const [was, is] = [canonicalXml(saved.inactiveXml), canonicalXml(stored)];
  if (was === is) return;
  throw new Fault("conflict", `restore ${saved.name}: what is defined is not what was saved`, {
    have: canonicalDifferences(was, is, DIFFERENCES_TOLD).join("; "),
    fix: "compare both; undefine what is there (virsh undefine --keep-nvram --keep-tpm), then repeat",
  });
}

async function journalActive({ journal }: FenceEdges, record: FenceRecord): Promise<void> {
  if (record.state !== "active") await journal.put({ ...record, state: "active" });
}

async function allowIncarnation({ guestFiles }: FenceEdges, record: FenceRecord): Promise<void> {
  if (record.saved) await guestFiles.allow(record.server, record.incarnation);
}

async function restoreAutostart({ hypervisor }: FenceEdges, record: FenceRecord): Promise<void> {
  if (!record.saved?.autostart) return;
  const domain = await hypervisor.findDomain(record.server);
  if (domain && !domain.autostart) await hypervisor.setAutostart(record.server, true);
}
