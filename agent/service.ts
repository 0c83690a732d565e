/**
 * The agent's gRPC face: `ferry.v1.AgentService`. Only controllers may call (SAFETY, DESIGN §8); what a call does
 * stands in `verbs/` and `operations.ts`.
 */

import { Fault } from "../proto/fault.js";
import { AgentServiceService, type GetOperationResponse } from "../proto/gen/ferry/v1/agent.js";
import type { HostDescription } from "../proto/gen/ferry/v1/host.js";
import { identityLabel } from "../proto/identity.js";
import { type Caller, implement, type ServiceImplementation } from "../proto/rpc-server.js";
import { attest } from "./attest.js";
import { checkTarget, describeSourceNow, measurePath } from "./check-target.js";
import { describeMigration } from "./describe-migration.js";
import { inspectDomain } from "./inspect-domain.js";
import type { FenceRecords } from "./journal/fence-records.js";
import { limitTransfer } from "./limit-transfer.js";
import type { Operations } from "./operations.js";
import type { World } from "./verbs/verb.js";
import { verifyFiles } from "./verify-files.js";

interface Dependencies {
  readonly world: World;
  readonly operations: Operations;
  readonly fences: FenceRecords;
  readonly describeHost: () => Promise<HostDescription>;
}

export function agentService({
  world,
  operations,
  fences,
  describeHost,
}: Dependencies): ServiceImplementation {
  return implement<typeof AgentServiceService>(AgentServiceService, {
    describeHost: async () => ({ description: await describeHost() }),
    inspectDomain: request => inspectDomain(request, world),
    describeSource: (request, { signal }) => describeSourceNow(request, signal, world),
    checkTarget: (request, { signal }) => checkTarget(request, signal, world),
    measurePath: (request, { signal }) => measurePath(request, signal, world),
    attest: ({ serverId }) => attest(serverId, world),
    describeMigration: async request => describeMigration(request, { world, operations, fences }),
    limitTransfer: async request => limitTransfer(request, world),
    verifyFiles: (request, { signal }) => verifyFiles(request, signal, world),
    perform: (request, { signal }) => operations.perform(request, signal),
    getOperation: async ({ key }) => operationReport(operations, key),
    cancelOperation: async ({ key }) => {
      await operations.cancel(key);
      return {};
    },
  });
}

/** An agent obeys controllers and nobody else. */
export function admitControllers({ identity, path }: Caller): void {
  if (identity.kind === "controller") return;
  throw new Fault(
    "permission-denied",
    `${identityLabel(identity)} may not call ${path}: agents obey controllers only`,
    {
      have: identityLabel(identity),
      need: "a controller's certificate",
      fix: "ask the controller instead: ferry --controller HOST:PORT …",
    },
  );
}

function operationReport(operations: Operations, key: string): GetOperationResponse {
  const { state, row } = operations.find(key);
  return { state, result: row?.result, fault: row?.fault };
}
