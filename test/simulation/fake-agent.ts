/**
 * Agents of a fake fleet, behind the same port as the real ones and with the same rules: a tombstone refuses, an older
 * epoch is refused, a newer one is recorded, a done key answers from the journal, a failed one is tried again, and a
 * key is bound to its request.
 *
 * Trouble is made per verb: `fail` before the effect, `lose` the answer after it, `hang` without an answer.
 */

import { createHash } from "node:crypto";
import type { AgentPort, PerformOptions } from "../../controller/fleet/agent-port.js";
import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import {
  type AttestResponse,
  type CheckTargetResponse,
  type DescribeMigrationRequest,
  type DescribeMigrationResponse,
  type DescribeSourceRequest,
  type DescribeSourceResponse,
  type GetOperationResponse,
  type InspectDomainRequest,
  type InspectDomainResponse,
  type LimitTransferRequest,
  type MeasurePathRequest,
  PerformRequest,
  type PerformResult,
  type TransferProbe,
  type VerifyFilesRequest,
} from "../../proto/gen/ferry/v1/agent.js";
import type { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import type { FaultInfo, FileVerdict } from "../../proto/gen/ferry/v1/model.js";
import { FakeHost } from "./fake-host.js";
import { FakeJournal } from "./fake-journal.js";
import { manifestOf } from "./fake-manifest.js";
import { carryOut, type FakeScene } from "./fake-verbs.js";

export interface Trouble {
  /** `receive_disks`, for instance, or `attest`. */
  readonly verb: string;
  readonly host?: string;
  readonly kind: "fail" | "lose" | "hang";
  /** For `fail`; a plain refusal unless said otherwise. */
  readonly fault?: Fault;
  /** How many calls it spoils; all of them when absent. */
  times?: number;
}

interface FakeAgent {
  readonly host: FakeHost;
  readonly journal: FakeJournal;
  isReachable: boolean;
  refusals: FaultInfo[];
}

interface Options {
  readonly nowMs: () => number;
}

export class FakeFleet implements AgentPort {
  readonly agents = new Map<string, FakeAgent>();
  readonly troubles: Trouble[] = [];
  readonly deafGuests = new Set<string>();
  /** Every call that reached an agent: `h1 prepare_source e1`. */
  readonly calls: string[] = [];
  /** Bytes per second, by migration. */
  readonly limits = new Map<string, number>();
  /** Every request arrives once more after each later one, as from a network that forgets nothing. */
  echoes = false;
  readonly #heard: { readonly agent: FakeAgent; readonly request: PerformRequest }[] = [];
  /** Called after each effect, before the answer. */
  afterEffect: () => void = () => {};
  readonly #nowMs: () => number;

  constructor(names: readonly string[], { nowMs }: Options) {
    this.#nowMs = nowMs;
    for (const name of names) {
      this.agents.set(name, {
        host: new FakeHost(name),
        journal: new FakeJournal(),
        isReachable: true,
        refusals: [],
      });
    }
  }

  agent(name: string): FakeAgent {
    const agent = this.agents.get(name);
    if (agent === undefined) throw new Fault("unreachable", `no agent at ${name}`);
    return agent;
  }

  async perform(name: string, request: PerformRequest, options: PerformOptions): Promise<PerformResult> {
    await Promise.resolve();
    options.signal.throwIfAborted();
    const agent = this.#reach(name);
    const verb = snakeCase(request.verb?.$case ?? "");
    this.calls.push(`${name} ${verb} e${request.epoch}`);
    const trouble = this.#troubleFor(verb, name);
    if (trouble?.kind === "fail") throw trouble.fault ?? new Fault("refused", `${verb} fails on ${name}`);
    if (trouble?.kind === "hang") return hang(options.signal);
    const result = this.#answer(agent, request, options);
    this.afterEffect();
    if (this.echoes) this.#echo(agent, request);
    await Promise.resolve();
    if (trouble?.kind === "lose") throw new Fault("unreachable", `the answer of ${verb} on ${name} was lost`);
    return result;
  }

  async attest(name: string, serverId: string): Promise<AttestResponse> {
    const { host, journal } = this.#reach(name);
    const trouble = this.#troubleFor("attest", name);
    if (trouble !== undefined) throw trouble.fault ?? new Fault("unreachable", `attest fails on ${name}`);
    const { role, incarnation, epoch, mayHaveRun } = journal.guest(serverId);
    const domain = host.domains.get(serverId)?.state ?? "absent";
    const filesPresent = role !== "active" || host.filesOf(incarnation).length > 0;
    return { role, incarnation, epoch, mayHaveRun, domain, filesPresent, ioError: false, drift: [] };
  }

  async describeMigration(
    name: string,
    { migrationId }: DescribeMigrationRequest,
  ): Promise<DescribeMigrationResponse> {
    const { journal } = this.#reach(name);
    const ofIt = [...journal.operations].filter(([key]) => key.startsWith(`${migrationId}:`));
    const document = journal.document(migrationId, "source");
    return {
      outcome: journal.tombstones.get(migrationId) ?? "",
      operations: ofIt.map(([key, { state }]) => ({ key, state, epoch: 0 })),
      held: document?.fence === "fenced" ? [`${document.incarnation}: fenced`] : [],
    };
  }

  async limitTransfer(name: string, { migrationId, bytesPerSecond }: LimitTransferRequest): Promise<void> {
    this.#reach(name);
    this.limits.set(migrationId, bytesPerSecond);
  }

  /** Whether the files are there; what they hold is the fake hosts' invariant. */
  async *verifyFiles(name: string, { serverId, files }: VerifyFilesRequest): AsyncGenerator<FileVerdict> {
    const { host, journal } = this.#reach(name);
    const present = new Map(host.filesOf(journal.guest(serverId).incarnation));
    for (const { id, path, algorithm, digest: expected } of files) {
      const found = present.get(`${journal.guest(serverId).incarnation}/${id}`)?.digest ?? "";
      const outcome = found === "" ? "missing" : found === expected ? "equal" : "differs";
      yield { id, path, outcome, algorithm, expected, found, readBack: "cache", reason: "" };
    }
  }

  async inspectDomain(name: string, { domain }: InspectDomainRequest): Promise<InspectDomainResponse> {
    const { host } = this.#reach(name);
    const { powerState, vcpus, memoryMib, disks } = manifestOf(host, domain);
    const nothing = { interfaces: [], refusals: [], suggestions: [], extraSpecs: {} };
    return { uuid: domain, name: domain, powerState, vcpus, memoryMib, disks, ...nothing };
  }

  describeHost(name: string): Promise<HostDescription> {
    return Promise.reject(new Fault("unsupported", `${name} is not a machine`));
  }

  async describeSource(name: string, request: DescribeSourceRequest): Promise<DescribeSourceResponse> {
    const { host } = this.#reach(name);
    return { manifest: manifestOf(host, request.serverId), refusals: [] };
  }

  async checkTarget(name: string): Promise<CheckTargetResponse> {
    const { refusals: reasons } = this.#reach(name);
    const outcome = reasons.length === 0 ? "ok" : "refused";
    const check = {
      name: "definition",
      outcome,
      informational: false,
      source: "the test",
      reasons,
      liveOutcome: outcome,
      liveReasons: [],
    };
    const offer = { checkId: `check-${name}`, dataAddress: name, dataPort: 1, token: "token" };
    return { checks: [check], offer };
  }

  async measurePath(name: string, { targetHost }: MeasurePathRequest): Promise<TransferProbe> {
    this.#reach(name);
    const trouble = this.#troubleFor("measure_path", targetHost);
    if (trouble !== undefined) throw trouble.fault ?? new Fault("timeout", "no answer in time");
    return { roundTripMs: 1, bytesPerSecond: 1_048_576 };
  }

  async getOperation(name: string, key: string): Promise<GetOperationResponse> {
    const operation = this.#reach(name).journal.operations.get(key);
    return { state: operation?.state ?? "unknown", result: operation?.result, fault: operation?.fault };
  }

  async cancelOperation(): Promise<void> {}

  #reach(name: string): FakeAgent {
    const agent = this.agent(name);
    if (!agent.isReachable) throw new Fault("unreachable", `${name} does not answer`);
    return agent;
  }

  #troubleFor(verb: string, host: string): Trouble | undefined {
    const trouble = this.troubles.find(
      candidate =>
        candidate.verb === verb &&
        (candidate.host === undefined || candidate.host === host) &&
        candidate.times !== 0,
    );
    if (trouble?.times !== undefined) trouble.times -= 1;
    return trouble;
  }

  #answer(agent: FakeAgent, request: PerformRequest, { onNote, onProgress }: PerformOptions): PerformResult {
    const { journal } = agent;
    const requestHash = hashOf(request);
    const known = journal.operations.get(request.key);
    if (known !== undefined && known.requestHash !== requestHash) {
      throw new Fault("invalid-argument", `operation ${request.key} was asked before with another request`);
    }
    if (known?.result !== undefined) {
      if (isNewer(journal, request)) hear(journal, request);
      return known.result;
    }
    admit(journal, request);
    journal.operations.set(request.key, { requestHash, state: "accepted" });
    onProgress?.({ totalBytes: 1, doneBytes: 1, skippedBytes: 0, bytesPerSecond: 1, etaMs: 0, files: [] });
    try {
      const call = { ...request, note: (text: string) => onNote?.(text) };
      const result = carryOut(request, call, this.#sceneOf(agent));
      journal.operations.set(request.key, { requestHash, state: "done", result });
      return result;
    } catch (error) {
      const fault = asFault(error);
      journal.operations.set(request.key, { requestHash, state: "failed", fault: toFaultInfo(fault) });
      throw fault;
    }
  }

  /** What it answers to an echo nobody hears; what that does, everybody would see. */
  #echo(agent: FakeAgent, request: PerformRequest): void {
    this.#heard.push({ agent, request });
    for (const earlier of this.#heard) {
      try {
        this.#answer(earlier.agent, earlier.request, { signal: new AbortController().signal });
      } catch (error) {
        if (asFault(error).code === "internal") throw error;
      }
      this.afterEffect();
    }
  }

  #sceneOf({ host, journal, refusals }: FakeAgent): FakeScene {
    return {
      host,
      journal,
      refusals,
      nowMs: this.#nowMs,
      peer: name => this.#reach(name).host,
      isDeaf: serverId => this.deafGuests.has(serverId),
    };
  }
}

function admit(journal: FakeJournal, { serverId, migrationId, epoch, term }: PerformRequest): void {
  const outcome = journal.tombstones.get(migrationId);
  if (outcome !== undefined)
    throw new Fault("stale-epoch", `migration ${migrationId} is closed here (${outcome})`);
  const guest = journal.guest(serverId);
  if (epoch < guest.epoch) throw new Fault("stale-epoch", `epoch ${epoch} is older than ${guest.epoch}`);
  if (epoch === guest.epoch && term < guest.term)
    throw new Fault("stale-epoch", `term ${term} is older than ${guest.term}`);
  hear(journal, { serverId, epoch, term });
}

const hear = (journal: FakeJournal, { serverId, epoch, term }: Authority): void =>
  void Object.assign(journal.guest(serverId), { epoch, term });

type Authority = Pick<PerformRequest, "serverId" | "epoch" | "term">;

/** Heard as such by the real agent also where there is nothing left to do. */
function isNewer(journal: FakeJournal, { serverId, epoch, term }: Authority): boolean {
  const guest = journal.guest(serverId);
  return epoch > guest.epoch || (epoch === guest.epoch && term > guest.term);
}

/** As at the real agent: who speaks, and how patiently, is no part of what was asked. */
const hashOf = (request: PerformRequest): string =>
  createHash("sha256")
    .update(PerformRequest.encode({ ...request, epoch: 0, term: 0, limitMs: 0 }).finish())
    .digest("hex");

const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);

const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
  );
