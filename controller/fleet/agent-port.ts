/**
 * What the controller needs of an agent, whoever carries the words. Every method rejects with a `Fault`; `timeout`
 * and `unreachable` mean that the effect may or may not have happened.
 */

import type {
  AttestResponse,
  CheckTargetRequest,
  CheckTargetResponse,
  DescribeMigrationRequest,
  DescribeMigrationResponse,
  DescribeSourceRequest,
  DescribeSourceResponse,
  GetOperationResponse,
  InspectDomainRequest,
  InspectDomainResponse,
  LimitTransferRequest,
  MeasurePathRequest,
  PerformRequest,
  PerformResult,
  TransferProbe,
  VerifyFilesRequest,
} from "../../proto/gen/ferry/v1/agent.js";
import type { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import type { FileVerdict, Progress } from "../../proto/gen/ferry/v1/model.js";

export interface PerformOptions {
  /** Leaves the call; the operation itself goes on at the agent until a newer epoch or `cancelOperation` ends it. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly onNote?: (note: string) => void;
}

export interface AgentPort {
  /** Carries out a verb or attaches to it; resolves with the answer that its journal keeps. */
  perform(host: string, request: PerformRequest, options: PerformOptions): Promise<PerformResult>;
  attest(host: string, serverId: string, signal?: AbortSignal): Promise<AttestResponse>;
  /** What the journal there holds of a migration. */
  describeMigration(
    host: string,
    request: DescribeMigrationRequest,
    signal?: AbortSignal,
  ): Promise<DescribeMigrationResponse>;
  inspectDomain(
    host: string,
    request: InspectDomainRequest,
    signal?: AbortSignal,
  ): Promise<InspectDomainResponse>;
  describeHost(host: string, signal?: AbortSignal): Promise<HostDescription>;
  /** What a migration would learn of its source; nothing is journalled. */
  describeSource(
    host: string,
    request: DescribeSourceRequest,
    signal?: AbortSignal,
  ): Promise<DescribeSourceResponse>;
  /** What a target would say; nothing is claimed. */
  checkTarget(host: string, request: CheckTargetRequest, signal?: AbortSignal): Promise<CheckTargetResponse>;
  /** Asked of the source, about a target that was just checked. */
  measurePath(host: string, request: MeasurePathRequest, signal?: AbortSignal): Promise<TransferProbe>;
  /** Asked of the source. */
  limitTransfer(host: string, request: LimitTransferRequest, signal?: AbortSignal): Promise<void>;
  /** A receipt's files, read again; ends early when the server is moved meanwhile. */
  verifyFiles(host: string, request: VerifyFilesRequest, signal: AbortSignal): AsyncIterable<FileVerdict>;
  getOperation(host: string, key: string, signal?: AbortSignal): Promise<GetOperationResponse>;
  cancelOperation(host: string, key: string, signal?: AbortSignal): Promise<void>;
}
