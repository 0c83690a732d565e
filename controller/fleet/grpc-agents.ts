/**
 * `AgentPort` over gRPC: one connection per agent, which must prove by its certificate that it is the agent of the
 * host that is meant. A stream that breaks is `unreachable`: the operation may go on at the agent, and whoever needs
 * its outcome asks again with the same key.
 */

import type { Client } from "@grpc/grpc-js";
import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import {
  AgentServiceService,
  type AttestResponse,
  type CheckTargetRequest,
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
  type PerformRequest,
  type PerformResult,
  type TransferProbe,
  type VerifyFilesRequest,
} from "../../proto/gen/ferry/v1/agent.js";
import { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import type { FileVerdict } from "../../proto/gen/ferry/v1/model.js";
import { call, createClient, stream } from "../../proto/rpc-client.js";
import type { TlsSource } from "../../proto/tls-source.js";
import type { AgentPort, PerformOptions } from "./agent-port.js";

interface Dependencies {
  readonly tls: TlsSource;
  /** host:port of a host's agent. */
  readonly addressOf: (host: string) => Promise<string>;
}

interface Connection {
  readonly address: string;
  readonly client: Client;
}

export class GrpcAgents implements AgentPort {
  readonly #deps: Dependencies;
  readonly #connections = new Map<string, Connection>();

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  async perform(host: string, request: PerformRequest, options: PerformOptions): Promise<PerformResult> {
    const client = await this.#client(host);
    const { signal, onNote, onProgress } = options;
    for await (const { update } of stream(client, AgentServiceService.perform, request, { signal })) {
      if (update?.$case === "progress") onProgress?.(update.value);
      else if (update?.$case === "note") onNote?.(update.value);
      else if (update?.$case === "fault") throw ofHost(host, fromFaultInfo(update.value));
      else if (update?.$case === "result") return update.value;
    }
    const verb = request.verb?.$case ?? "the call";
    throw new Fault("unreachable", `the agent of ${host} ended ${verb} without an answer`, { host });
  }

  async attest(host: string, serverId: string, signal?: AbortSignal): Promise<AttestResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.attest, { serverId }, optionsOf(signal));
  }

  async describeMigration(
    host: string,
    request: DescribeMigrationRequest,
    signal?: AbortSignal,
  ): Promise<DescribeMigrationResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.describeMigration, request, optionsOf(signal));
  }

  async inspectDomain(
    host: string,
    request: InspectDomainRequest,
    signal?: AbortSignal,
  ): Promise<InspectDomainResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.inspectDomain, request, optionsOf(signal));
  }

  async describeHost(host: string, signal?: AbortSignal): Promise<HostDescription> {
    const client = await this.#client(host);
    const { description } = await call(client, AgentServiceService.describeHost, {}, optionsOf(signal));
    return description ?? HostDescription.create();
  }

  async describeSource(
    host: string,
    request: DescribeSourceRequest,
    signal?: AbortSignal,
  ): Promise<DescribeSourceResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.describeSource, request, patient(signal));
  }

  async checkTarget(
    host: string,
    request: CheckTargetRequest,
    signal?: AbortSignal,
  ): Promise<CheckTargetResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.checkTarget, request, patient(signal));
  }

  async measurePath(host: string, request: MeasurePathRequest, signal?: AbortSignal): Promise<TransferProbe> {
    const client = await this.#client(host);
    const { probe } = await call(client, AgentServiceService.measurePath, request, optionsOf(signal));
    if (probe === undefined) throw new Fault("internal", `the agent of ${host} measured nothing`, { host });
    return probe;
  }

  async limitTransfer(host: string, request: LimitTransferRequest, signal?: AbortSignal): Promise<void> {
    const client = await this.#client(host);
    await call(client, AgentServiceService.limitTransfer, request, optionsOf(signal));
  }

  async *verifyFiles(
    host: string,
    request: VerifyFilesRequest,
    signal: AbortSignal,
  ): AsyncGenerator<FileVerdict> {
    const client = await this.#client(host);
    for await (const { verdict } of stream(client, AgentServiceService.verifyFiles, request, { signal }))
      if (verdict !== undefined) yield verdict;
  }

  async getOperation(host: string, key: string, signal?: AbortSignal): Promise<GetOperationResponse> {
    const client = await this.#client(host);
    return call(client, AgentServiceService.getOperation, { key }, optionsOf(signal));
  }

  async cancelOperation(host: string, key: string, signal?: AbortSignal): Promise<void> {
    const client = await this.#client(host);
    await call(client, AgentServiceService.cancelOperation, { key }, optionsOf(signal));
  }

  close(): void {
    for (const { client } of this.#connections.values()) client.close();
    this.#connections.clear();
  }

  /** An agent that moved is dialled anew. */
  async #client(host: string): Promise<Client> {
    const address = await this.#deps.addressOf(host);
    const known = this.#connections.get(host);
    if (known?.address === address) return known.client;
    known?.client.close();
    const client = createClient(address, this.#deps.tls, { kind: "agent", name: host });
    this.#connections.set(host, { address, client });
    return client;
  }
}

/** Base images may have to be read, and libvirt may have to start emulators. */
const PATIENCE_MS = 110_000;

const patient = (signal: AbortSignal | undefined) => ({ deadlineMs: PATIENCE_MS, ...optionsOf(signal) });

const optionsOf = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

/** Where it happened is worth as much as what. */
const ofHost = (host: string, fault: Fault): Fault =>
  new Fault(
    fault.code,
    fault.message,
    { ...fault.detail, host: fault.detail.host ?? host },
    { cause: fault },
  );
