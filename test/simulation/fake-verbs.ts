/**
 * The verbs of a fake agent: observe → converge on a fake host, with the refusals that the real agent has. Each
 * is one synchronous effect, so that whatever interrupts it comes before or after, never in the middle.
 */

import { Fault } from "../../proto/fault.js";
import type {
  CopyReceipt,
  PerformRequest,
  PerformResult,
  TargetPlan,
} from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import type { FakeHost } from "./fake-host.js";
import type { FakeDocument, FakeGuest, FakeJournal, Side } from "./fake-journal.js";
import { manifestOf } from "./fake-manifest.js";
import { receiptOf, receiptProblem } from "./fake-receipt.js";

export interface FakeScene {
  readonly host: FakeHost;
  readonly journal: FakeJournal;
  readonly nowMs: () => number;
  /** Another host of the fleet: the other end of the disk data. */
  readonly peer: (name: string) => FakeHost;
  /** The guest ignores ACPI. */
  readonly isDeaf: (serverId: string) => boolean;
  /** Refusals that prepare-target answers here. */
  readonly refusals: PerformResult["refusals"];
}

type Request<Name> = Extract<NonNullable<PerformRequest["verb"]>, { $case: Name }>["value"];
type VerbName = NonNullable<PerformRequest["verb"]>["$case"];

export interface FakeCall {
  readonly serverId: string;
  readonly migrationId: string;
  readonly epoch: number;
  note(text: string): void;
}

const GIB = 1024 ** 3;

/** A migration of which nothing was done yet. */
const FRESH = { hasReceipt: false, isPrepared: false, fence: "none" } as const;

const EMPTY: PerformResult = {
  server: undefined,
  stopped: undefined,
  manifest: undefined,
  plan: undefined,
  receipt: undefined,
  copy: undefined,
  probe: undefined,
  refusals: [],
};

type FakeVerb<Name> = (request: Request<Name>, call: FakeCall, scene: FakeScene) => Partial<PerformResult>;

export const FAKE_VERBS: { readonly [Name in VerbName]: FakeVerb<Name> } = {
  createDomain({ name, flavor }, { serverId }, { host, journal }) {
    const incarnation = `${serverId}:0`;
    host.files.set(`${incarnation}/vda/0`, {
      digest: `image-${name}`,
      path: `/images/${name}.qcow2`,
      aside: false,
    });
    host.domains.set(serverId, { incarnation, vcpus: 1, state: "SHUTDOWN" });
    Object.assign(journal.guest(serverId), { role: "active", incarnation });
    if (flavor === undefined) throw new Fault("invalid-argument", "no flavor");
    return { server: undefined };
  },

  takeDomain(_request, { serverId }, { host, journal }) {
    const domain = host.domains.get(serverId);
    if (domain === undefined) throw new Fault("not-found", `no domain ${serverId}`);
    Object.assign(journal.guest(serverId), { role: "active", incarnation: domain.incarnation });
    return {};
  },

  disownServer(_request, { serverId }, { host, journal }) {
    host.denied.add(serverId);
    const domain = host.domains.get(serverId);
    if (domain !== undefined) domain.state = "SHUTDOWN";
    Object.assign(journal.guest(serverId), { role: "retired", incarnation: "", mayHaveRun: false });
    return {};
  },

  startDomain(_request, { serverId }, scene) {
    activeGuest(serverId, scene);
    const domain = scene.host.domains.get(serverId);
    if (domain === undefined || !scene.host.isRunnable(serverId)) {
      throw new Fault("failed", `${serverId} cannot be started on ${scene.host.name}`);
    }
    domain.state = "RUNNING";
    return {};
  },

  stopDomain({ timeoutMs, gracefulOnly }, { serverId, note }, scene) {
    const domain = scene.host.domains.get(serverId);
    const wasRunning = domain?.state === "RUNNING";
    if (!wasRunning || domain === undefined) {
      return { stopped: { wasRunning, how: "off-already", offAtMs: scene.nowMs() } };
    }
    const deaf = scene.isDeaf(serverId);
    if (deaf && gracefulOnly) throw new Fault("refused", `the guest ignored ACPI for ${timeoutMs} ms`);
    domain.state = "SHUTDOWN";
    if (deaf) note(`guest ignored ACPI shutdown for ${timeoutMs / 1000} s: destroyed`);
    return { stopped: { wasRunning, how: deaf ? "destroyed-graceful" : "shutdown", offAtMs: scene.nowMs() } };
  },

  deleteDomain(_request, { serverId }, { host, journal }) {
    const incarnation = host.domains.get(serverId)?.incarnation;
    host.domains.delete(serverId);
    if (incarnation !== undefined) for (const [key] of host.filesOf(incarnation)) host.files.delete(key);
    Object.assign(journal.guest(serverId), { role: "none", incarnation: "" });
    return {};
  },

  prepareSource(_request, { serverId, migrationId }, scene) {
    const { incarnation } = activeGuest(serverId, scene);
    const manifest = manifestOf(scene.host, serverId);
    scene.journal.putDocument(migrationId, "source", {
      incarnation,
      manifest,
      vcpus: manifest.vcpus,
      ...FRESH,
    });
    return { manifest };
  },

  prepareTarget(
    { manifest, sourceHost, flavor },
    { serverId, migrationId, epoch },
    { host, journal, refusals },
  ) {
    const guest = journal.guest(serverId);
    if (manifest === undefined) throw new Fault("invalid-argument", "no manifest");
    const isSameHost = sourceHost === host.name;
    if (!isSameHost && (guest.role === "active" || guest.role === "fenced")) {
      throw new Fault("conflict", `server ${serverId} is ${guest.role} on ${host.name}`);
    }
    if (refusals.length > 0) return { refusals };
    const incarnation = `${serverId}:${migrationId}:target:${epoch}`;
    const plan: TargetPlan = {
      files: manifest.files.map(({ id, path, sizeBytes, permissions, mode }) => ({
        id,
        path,
        sizeBytes,
        permissions,
        mode,
        newSizeBytes: flavor === undefined ? 0 : flavor.rootGib * GIB,
        format: "qcow2",
        role: "root",
      })),
      disks: manifest.disks,
      domainXml: `<domain on="${host.name}"/>`,
      incarnation,
      dataAddress: host.name,
      dataPort: 1,
      token: `token-${migrationId}`,
      folders: [],
      blockDevices: [],
    };
    journal.putDocument(migrationId, "target", {
      incarnation,
      manifest,
      plan,
      sourceHost,
      vcpus: flavor?.vcpus ?? manifest.vcpus,
      ...FRESH,
    });
    if (!isSameHost) Object.assign(guest, { role: "incoming", incarnation, mayHaveRun: false });
    return { plan };
  },

  proveStorage: () => ({}),

  probeTransfer: () => ({ probe: { roundTripMs: 1, bytesPerSecond: 1e9 } }),

  fenceIncarnation({ stateHash, peerHost }, call, scene) {
    const { host, journal } = scene;
    const document = documentOf(call, scene, "source");
    const domain = host.domains.get(call.serverId);
    if (document.fence === "none") {
      if (domain?.state !== "SHUTDOWN")
        throw new Fault("refused", `the guest is ${domain?.state ?? "absent"}, not off`);
      if (stateHash !== document.manifest.stateHash) throw new Fault("refused", "changed behind Ferry");
    }
    host.denied.add(call.serverId);
    for (const [, file] of host.filesOf(document.incarnation)) file.aside = true;
    host.domains.delete(call.serverId);
    document.fence = "fenced";
    journal.guest(call.serverId).role = "fenced";
    return { receipt: receiptOf(statement("fence", call, scene, peerHost)), manifest: document.manifest };
  },

  unfenceIncarnation({ mirrorReceipt, peerHost, fencedHost }, call, scene) {
    const { host, journal } = scene;
    const document = documentOf(call, scene, "source");
    if (document.fence === "fenced" && fencedHost?.host !== peerHost) {
      const mirror = { ...statement("mirror", call, scene, host.name), host: peerHost };
      const problem = receiptProblem(mirrorReceipt, mirror);
      if (problem !== undefined) throw new Fault("refused", `unfence: ${problem}`);
    }
    for (const [, file] of host.filesOf(document.incarnation)) file.aside = false;
    if (!host.domains.has(call.serverId)) {
      const { incarnation, vcpus } = document;
      host.domains.set(call.serverId, { incarnation, vcpus, state: "SHUTDOWN" });
    }
    host.denied.delete(call.serverId);
    document.fence = "none";
    Object.assign(journal.guest(call.serverId), { role: "active", incarnation: document.incarnation });
    return {};
  },

  receiveDisks({ plan, sourceHost }, call, scene) {
    const document = documentOf(call, scene, "target");
    if (plan?.token !== document.plan?.token) throw new Fault("permission-denied", "another token");
    return { copy: copyFrom(scene.peer(sourceHost), document, scene) };
  },

  cloneDisks(_request, call, scene) {
    if (documentOf(call, scene, "source").fence !== "fenced")
      throw new Fault("refused", "the source is not fenced");
    return { copy: copyFrom(scene.host, documentOf(call, scene, "target"), scene) };
  },

  sendDisks(_request, call, scene) {
    if (documentOf(call, scene, "source").fence !== "fenced")
      throw new Fault("refused", "the source is not fenced");
    return {};
  },

  prepareDisks(_request, call, scene) {
    const document = documentOf(call, scene, "target");
    if (!document.hasReceipt) throw new Fault("refused", "no copy receipt");
    document.isPrepared = true;
    return {};
  },

  connectTarget: () => ({}),

  defineTarget(_request, call, scene) {
    const { hasReceipt, isPrepared, incarnation, vcpus } = documentOf(call, scene, "target");
    if (!hasReceipt || !isPrepared) throw new Fault("refused", "no copy receipt");
    scene.host.denied.add(call.serverId);
    scene.host.domains.set(call.serverId, { incarnation, vcpus, state: "SHUTDOWN" });
    Object.assign(scene.journal.guest(call.serverId), { role: "incoming", incarnation, mayHaveRun: false });
    return {};
  },

  createTarget({ fenceReceipt, leaveOff }, call, scene) {
    const { sourceHost = "", incarnation } = documentOf(call, scene, "target");
    const expected = { ...statement("fence", call, scene, scene.host.name), host: sourceHost };
    const problem = receiptProblem(fenceReceipt, expected);
    if (problem !== undefined) throw new Fault("refused", `create: ${problem}`);
    const domain = scene.host.domains.get(call.serverId);
    if (domain === undefined) throw new Fault("conflict", "not defined");
    scene.host.denied.delete(call.serverId);
    if (leaveOff) Object.assign(scene.journal.guest(call.serverId), { role: "active", incarnation });
    else domain.state = "PAUSED";
    return {};
  },

  releaseTarget(_request, call, scene) {
    const { incarnation } = documentOf(call, scene, "target");
    Object.assign(scene.journal.guest(call.serverId), { role: "active", incarnation, mayHaveRun: true });
    const domain = scene.host.domains.get(call.serverId);
    if (domain === undefined || domain.state === "SHUTDOWN") throw new Fault("conflict", "nothing to resume");
    domain.state = "RUNNING";
    return {};
  },

  withdrawTarget({ afterRun, peerHost }, call, scene) {
    const { host, journal } = scene;
    const guest = journal.guest(call.serverId);
    if (guest.mayHaveRun && !afterRun) throw new Fault("stuck", "the guest may have run on the target");
    const document = journal.document(call.migrationId, "target");
    if (document !== undefined) {
      document.fence = "fenced";
      for (const [, file] of host.filesOf(document.incarnation)) file.aside = true;
    }
    const isSource = guest.role === "active" && guest.incarnation !== document?.incarnation;
    if (!isSource) {
      host.denied.add(call.serverId);
      host.domains.delete(call.serverId);
      guest.role = "fenced";
    }
    return { receipt: receiptOf(statement("mirror", call, scene, peerHost)) };
  },

  removeTargetFiles(_request, call, { host, journal }) {
    const guest = journal.guest(call.serverId);
    const document = journal.document(call.migrationId, "target");
    if (document !== undefined && document.fence === "none")
      throw new Fault("conflict", "it is not withdrawn");
    if (document !== undefined)
      for (const [key] of host.filesOf(document.incarnation)) host.files.delete(key);
    // It was resized here and is the source again.
    if (guest.role === "active") return {};
    Object.assign(guest, { role: "none", incarnation: "", mayHaveRun: false });
    host.denied.delete(call.serverId);
    return {};
  },

  retireSource(_request, call, scene) {
    const document = documentOf(call, scene, "source");
    if (document.fence === "none") throw new Fault("conflict", "it is not fenced");
    for (const [key] of scene.host.filesOf(document.incarnation)) scene.host.files.delete(key);
    document.fence = "retired";
    const guest = scene.journal.guest(call.serverId);
    if (guest.incarnation === document.incarnation)
      Object.assign(guest, { role: "retired", incarnation: "" });
    return {};
  },

  preflightRevert(_request, call, scene) {
    const { fence, incarnation, manifest } = documentOf(call, scene, "source");
    const present = scene.host.filesOf(incarnation).length === manifest.files.length;
    if (fence === "fenced" && present) return {};
    const none = { have: "", need: "", fix: "", host: scene.host.name };
    return { refusals: [{ code: "refused", message: "the source cannot be restored", ...none }] };
  },

  closeMigration({ outcome }, { migrationId }, { journal }) {
    journal.removeDocuments(migrationId);
    journal.tombstones.set(migrationId, outcome);
    return {};
  },
};

function copyFrom(source: FakeHost, document: FakeDocument, { host, nowMs }: FakeScene): CopyReceipt {
  const files = document.manifest.files.map(({ id, path, sizeBytes, dataBytes }): CopiedFile => {
    const original = [...source.files].find(
      ([key, file]) => key.endsWith(`/${id}`) && file.aside && file.path === path,
    )?.[1];
    if (original === undefined) throw new Fault("failed", `${id} is not fenced at ${source.name}`);
    const { digest } = original;
    host.files.set(`${document.incarnation}/${id}`, { digest, path, aside: false });
    const read = { algorithm: "blake3", digest, readBack: "cache" };
    return { id, path, mode: "copied", sizeBytes, dataBytes, ...read, changes: [], atMs: nowMs() };
  });
  document.hasReceipt = true;
  const at = nowMs();
  const span = { wireBytes: 1, startedAtMs: at, finishedAtMs: at, resumedBytes: 0 };
  return { algorithm: "blake3", leafBytes: 262_144, files, ...span };
}

export function carryOut(request: PerformRequest, call: FakeCall, scene: FakeScene): PerformResult {
  const { verb } = request;
  if (verb === undefined) throw new Fault("invalid-argument", "the request names no verb");
  const effect = FAKE_VERBS[verb.$case] as FakeVerb<VerbName>;
  return { ...EMPTY, ...effect(verb.value as Request<VerbName>, call, scene) };
}

function activeGuest(serverId: string, { journal, host }: FakeScene): FakeGuest {
  const guest = journal.guest(serverId);
  if (guest.role !== "active")
    throw new Fault("refused", `server ${serverId} is ${guest.role} on ${host.name}, not active`);
  return guest;
}

function documentOf({ migrationId }: FakeCall, { journal, host }: FakeScene, side: Side): FakeDocument {
  const document = journal.document(migrationId, side);
  if (document === undefined)
    throw new Fault("refused", `migration ${migrationId} was never prepared on ${host.name}`);
  return document;
}

const statement = (kind: "fence" | "mirror", call: FakeCall, { host }: FakeScene, peerHost: string) => ({
  kind,
  server: call.serverId,
  migration: call.migrationId,
  epoch: call.epoch,
  host: host.name,
  peerHost,
});
