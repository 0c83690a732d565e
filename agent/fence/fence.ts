/**
 * Fencing: from "stopped" to "provably cannot run here", and the statement that says so.
 *
 * `TIGHTEN` is the order of SAFETY R9 and must be read as a list: each step looks at the world and does what is
 * missing, so that the whole list can be run again from the top after a crash at any instant. The intent and the
 * saved state come first, because everything after them needs a way back; the deny file comes before the look at
 * whether the guest is dead, because otherwise somebody could start it in between.
 *
 * `fence` is for the source; `withdraw` is the same for the target of an unwinding, which may never have come to be.
 */

import { Fault } from "../../proto/fault.js";
import type { BlockDevices } from "../disk/block-devices.js";
import { isSameFile } from "../disk/file-identity.js";
import type { Files } from "../os/files.js";
import type { DomainSummary, Hypervisor } from "../os/hypervisor.js";
import {
  denialReason,
  type FencedDevice,
  type FencedFile,
  type FenceJournal,
  type FenceKey,
  type FenceRecord,
  type IncarnationFile,
  type SavedDomain,
} from "./fence-record.js";
import { excludes, type GuestFiles } from "./guest-file.js";
import { type FenceStatement, fenceStatement } from "./receipt-facts.js";
import { factsAt, identityOf, locate, moveAside } from "./set-aside.js";
import { type DeadEdges, type Hold, verifyDead } from "./verify-dead.js";

export interface FenceEdges extends DeadEdges {
  readonly hypervisor: Pick<
    Hypervisor,
    | "findDomain"
    | "domainXml"
    | "define"
    | "undefine"
    | "setAutostart"
    | "destroy"
    | "snapshotXmls"
    | "checkpointXmls"
  >;
  readonly files: Pick<Files, "facts" | "renameNoReplace"> & DeadEdges["files"];
  readonly blockDevices: Pick<BlockDevices, "read" | "holders" | "writes">;
  readonly guestFiles: GuestFiles;
  readonly journal: FenceJournal;
  /** The incarnation that a domain's XML is marked with; undefined without a mark. */
  readonly incarnationOf: (domainXml: string) => string | undefined;
  readonly canonicalXml: (domainXml: string) => string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly host: string;
  readonly bootId: string;
}

export interface FenceOrder extends FenceKey {
  readonly epoch: number;
  /** Host of the other incarnation, for whom the statement is. */
  readonly peerHost: string;
  readonly files: readonly IncarnationFile[];
  readonly devices?: readonly FencedDevice[];
}

export interface Fenced {
  readonly statement: FenceStatement;
  readonly record: FenceRecord;
  /** Keep it while copying; dispose it when the files may be opened again. */
  readonly hold: Hold;
}

/** The source: must be defined here, shut off, and restorable exactly. */
export const fence = (edges: FenceEdges, order: FenceOrder): Promise<Fenced> =>
  tighten(edges, order, "fence");

/** The target, whatever became of it: stopped if it runs; files that were never received are no files. */
export const withdraw = (edges: FenceEdges, order: FenceOrder): Promise<Fenced> =>
  tighten(edges, order, "mirror");

interface Tightening {
  readonly edges: FenceEdges;
  readonly order: FenceOrder;
  readonly kind: FenceStatement["kind"];
}

type Step = (tightening: Tightening, record: FenceRecord) => Promise<void>;

const BEFORE_DEATH: readonly Step[] = [writeDenial, stopWithdrawn];
const AFTER_DEATH: readonly Step[] = [turnAutostartOff, setFilesAside, undefineDomain, readAgain];

/** The column of the story: journal intent → deny → dead → autostart off → files aside → undefine → look → journal. */
async function tighten(edges: FenceEdges, order: FenceOrder, kind: FenceStatement["kind"]): Promise<Fenced> {
  const tightening: Tightening = { edges, order, kind };
  const intent = await journalIntent(tightening);
  for (const step of BEFORE_DEATH) await step(tightening, intent);
  const hold = await holdDead(tightening, intent);
  try {
    for (const step of AFTER_DEATH) await step(tightening, intent);
    const record = await journalFenced(tightening, intent);
    return { statement: record.statement, record, hold };
  } catch (error) {
    await hold[Symbol.asyncDispose]();
    throw error;
  }
}

async function journalIntent({ edges, order, kind }: Tightening): Promise<FenceRecord> {
  const { server, migration, incarnation, epoch } = order;
  const known = await edges.journal.find(order);
  if (known && !mayTighten(known)) {
    throw new Fault("conflict", `fence ${incarnation}: migration ${migration} has it ${known.state} already`);
  }
  const tightening = { edges, order, kind };
  const intent: FenceRecord = known
    ? {
        ...known,
        ...(await saveAgain(tightening, known)),
        state: known.state === "retired" ? "fencing" : known.state,
        epoch: Math.max(known.epoch, epoch),
      }
    : {
        kind,
        state: "fencing",
        server,
        migration,
        incarnation,
        epoch,
        ...(await saveDomain(tightening)),
        files: await identifyFiles(tightening),
        ...(order.devices === undefined ? {} : { devices: order.devices }),
      };
  await edges.journal.put(intent);
  return intent;
}

/** A target is asked for its word again also when it was left already, but not closed: it is looked at as before. */
const mayTighten = ({ state, kind }: FenceRecord): boolean =>
  state === "fencing" || state === "fenced" || (state === "retired" && kind === "mirror");

async function saveDomain({ edges, order, kind }: Tightening): Promise<{ readonly saved?: SavedDomain }> {
  const { hypervisor } = edges;
  const domain = await hypervisor.findDomain(order.server);
  const inactiveXml = domain && (await hypervisor.domainXml(order.server, "inactive"));
  if (!domain || inactiveXml === undefined || edges.incarnationOf(inactiveXml) !== order.incarnation) {
    if (kind === "mirror") return {};
    throw new Fault("conflict", `fence ${order.incarnation}: it is not what is defined on ${edges.host}`);
  }
  const saved: SavedDomain = {
    name: domain.name,
    inactiveXml,
    autostart: domain.autostart,
    snapshotXmls: await hypervisor.snapshotXmls(order.server),
    checkpointXmls: await hypervisor.checkpointXmls(order.server),
  };
  if (kind === "fence") requireRestorable(domain, saved);
  return { saved };
}

/** Still defined after a crash: it may have been edited since. Its autostart may be off by our own hand. */
async function saveAgain(tightening: Tightening, known: FenceRecord): Promise<{ saved?: SavedDomain }> {
  if (!known.saved || !(await findOwn(tightening.edges, known))) return {};
  const { saved } = await saveDomain(tightening);
  return saved ? { saved: { ...saved, autostart: known.saved.autostart } } : {};
}

/** What could not be given back exactly is refused before anything is touched (SAFETY R17, R18). */
function requireRestorable(domain: DomainSummary, saved: SavedDomain): void {
  const refuse = (problem: string, fix: string): never => {
    throw new Fault("refused", `fence ${domain.name}: ${problem}`, { fix });
  };
  if (domain.state !== "shut-off") refuse(`it is ${domain.state}`, "stop it first");
  if (!domain.persistent) refuse("it is transient", "define it");
  if (domain.hasManagedSave)
    refuse("it has a managed save image", "start it, or virsh managedsave-remove it");
  if (saved.snapshotXmls.length > 0) refuse("it has snapshots", "delete them; they could not be restored");
  if (saved.checkpointXmls.length > 0)
    refuse("it has checkpoints", "delete them; they could not be restored");
}

async function identifyFiles({ edges, order, kind }: Tightening): Promise<FencedFile[]> {
  const found: FencedFile[] = [];
  for (const { id, path, mode, identity: expected } of order.files) {
    const facts = await factsAt(edges.files, path);
    const isOther = facts && expected && !isSameFile(expected, facts);
    // A target may never have received it; what has its name then is somebody else's.
    if (kind === "mirror" && (!facts || isOther)) continue;
    if (!facts) throw new Fault("corrupt", `fence ${order.incarnation}: ${id} is not at ${path}`);
    if (isOther) {
      throw new Fault("conflict", `fence ${order.incarnation}: ${path} was replaced: changed behind Ferry`);
    }
    const word = kind === "fence" ? "fenced" : "dropped";
    const isMoved = mode === "copied" || mode === "re-created";
    const asidePath = isMoved ? `${path}.${word}-${order.migration}` : path;
    const { sizeBytes, mtimeNs } = facts;
    found.push({ id, path, asidePath, mode, identity: identityOf(facts), sizeBytes, mtimeNs });
  }
  return found;
}

async function writeDenial({ edges }: Tightening, record: FenceRecord): Promise<void> {
  const verdict = await edges.guestFiles.read(record.server);
  // Same-host resize: this host may run the other incarnation, which refuses this one already.
  if (verdict?.kind === "allow" && excludes(verdict, record.incarnation)) return;
  await edges.guestFiles.deny(record.server, denialReason(record));
}

/** A source has been stopped by its own step; whatever a withdrawn target does is discarded. */
async function stopWithdrawn({ edges, kind }: Tightening, record: FenceRecord): Promise<void> {
  const domain = await findOwn(edges, record);
  if (kind !== "mirror" || !domain || domain.state === "shut-off") return;
  try {
    await edges.hypervisor.destroy(record.server, { graceful: true });
  } catch (error) {
    if (!(error instanceof Fault && error.code === "timeout")) throw error;
    await edges.hypervisor.destroy(record.server, { graceful: false });
  }
}

async function holdDead({ edges }: Tightening, record: FenceRecord): Promise<Hold> {
  const files = await Promise.all(
    record.files.map(async file => ({ id: file.id, path: await locate(edges.files, file) })),
  );
  const marked = await definedIncarnation(edges, record.server);
  // What has the uuid but no mark may be anything, also this incarnation with its mark removed.
  const otherIncarnation = marked !== undefined && marked !== record.incarnation;
  const devices = (record.devices ?? []).map(({ path }) => path);
  return verifyDead(edges, { server: record.server, files, devices, otherIncarnation });
}

async function turnAutostartOff({ edges }: Tightening, record: FenceRecord): Promise<void> {
  const domain = await findOwn(edges, record);
  if (domain?.autostart) await edges.hypervisor.setAutostart(record.server, false);
}

async function setFilesAside({ edges }: Tightening, record: FenceRecord): Promise<void> {
  for (const file of record.files) await moveAside(edges.files, file);
}

async function undefineDomain({ edges }: Tightening, record: FenceRecord): Promise<void> {
  if (await findOwn(edges, record)) await edges.hypervisor.undefine(record.server);
}

/** Nothing is believed because it was done: all of it is looked at once more (SAFETY R9). */
async function readAgain({ edges }: Tightening, record: FenceRecord): Promise<void> {
  const attempt = `fence ${record.incarnation}`;
  if (await findOwn(edges, record)) throw new Fault("conflict", `${attempt}: it was defined again`);
  if (!excludes(await edges.guestFiles.read(record.server), record.incarnation)) {
    throw new Fault("conflict", `${attempt}: the hook would let it start`);
  }
  for (const file of record.files) {
    const place = await locate(edges.files, file);
    if (place !== file.asidePath) throw new Fault("conflict", `${attempt}: ${place} was moved back`);
  }
}

async function journalFenced(
  { edges, order, kind }: Tightening,
  record: FenceRecord,
): Promise<FenceRecord & { readonly statement: FenceStatement }> {
  const { server, migration, incarnation, epoch } = record;
  const { host, bootId } = edges;
  const devices = await Promise.all((record.devices ?? []).map(device => countedDevice(edges, device)));
  const statement = fenceStatement(
    {
      kind,
      server,
      migration,
      incarnation,
      epoch,
      host,
      peerHost: order.peerHost,
      bootId,
      at: edges.clock(),
    },
    record.files.map(({ id, asidePath, mode, identity }) => ({ id, path: asidePath, mode, ...identity })),
    devices.map(({ id, path, identity }) => ({ id, path, identity })),
  );
  const ofDevices = record.devices === undefined ? {} : { devices };
  const fenced = { ...record, ...ofDevices, state: "fenced" as const, statement };
  await edges.journal.put(fenced);
  return fenced;
}

/** Nobody has it open by now, and what this host had written of it is on it. */
async function countedDevice({ blockDevices }: FenceEdges, device: FencedDevice): Promise<FencedDevice> {
  if (device.isCopied !== true || device.asFenced !== undefined) return device;
  const [{ kernelId }, writes] = [
    await blockDevices.read(device.path),
    await blockDevices.writes(device.path),
  ];
  return { ...device, asFenced: { kernelId, writes: `${writes}` } };
}

/** The domain of this server, if what is defined is this incarnation; another one is not ours to touch. */
async function findOwn(edges: FenceEdges, record: FenceRecord): Promise<DomainSummary | undefined> {
  const domain = await edges.hypervisor.findDomain(record.server);
  const marked = domain && (await definedIncarnation(edges, record.server));
  return marked === record.incarnation ? domain : undefined;
}

/** Undefined: nothing is defined, or it bears no mark. */
async function definedIncarnation(edges: FenceEdges, server: string): Promise<string | undefined> {
  if (!(await edges.hypervisor.findDomain(server))) return undefined;
  return edges.incarnationOf(await edges.hypervisor.domainXml(server, "inactive"));
}
