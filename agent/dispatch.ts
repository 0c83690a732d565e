/** From a request's verb to the function that carries it out: the complete list of what an agent can be asked. */

import { Fault } from "../proto/fault.js";
import type { PerformRequest, PerformResult } from "../proto/gen/ferry/v1/agent.js";
import type { Dispatch, VerbName } from "./operations.js";
import { cloneDisks } from "./verbs/clone-disks.js";
import { closeMigration } from "./verbs/close-migration.js";
import { createDomain } from "./verbs/create-domain.js";
import { createTarget } from "./verbs/create-target.js";
import { defineTarget } from "./verbs/define-target.js";
import { deleteDomain } from "./verbs/delete-domain.js";
import { disownServer } from "./verbs/disown-server.js";
import { fenceIncarnation } from "./verbs/fence-incarnation.js";
import { preflightRevert } from "./verbs/preflight-revert.js";
import { prepareDisks } from "./verbs/prepare-disks.js";
import { prepareSource } from "./verbs/prepare-source.js";
import { prepareTarget } from "./verbs/prepare-target.js";
import { probeTransfer } from "./verbs/probe-transfer.js";
import { receiveDisks } from "./verbs/receive-disks.js";
import { releaseTarget } from "./verbs/release-target.js";
import { removeTargetFiles } from "./verbs/remove-target-files.js";
import { retireSource } from "./verbs/retire-source.js";
import { sendDisks } from "./verbs/send-disks.js";
import { startDomain } from "./verbs/start-domain.js";
import { stopDomain } from "./verbs/stop-domain.js";
import { takeDomain } from "./verbs/take-domain.js";
import { unfenceIncarnation } from "./verbs/unfence-incarnation.js";
import type { Call, World } from "./verbs/verb.js";
import { withdrawTarget } from "./verbs/withdraw-target.js";

type RequestOf<Name extends VerbName> = Extract<
  NonNullable<PerformRequest["verb"]>,
  { $case: Name }
>["value"];

type Verbs = {
  readonly [Name in VerbName]: (request: RequestOf<Name>, call: Call, world: World) => Promise<PerformResult>;
};

const VERBS: Verbs = {
  cloneDisks,
  closeMigration,
  createDomain,
  createTarget,
  defineTarget,
  deleteDomain,
  disownServer,
  fenceIncarnation,
  preflightRevert,
  prepareDisks,
  prepareSource,
  prepareTarget,
  probeTransfer,
  receiveDisks,
  releaseTarget,
  removeTargetFiles,
  retireSource,
  sendDisks,
  startDomain,
  stopDomain,
  takeDomain,
  unfenceIncarnation,
  withdrawTarget,
};

export const dispatchTo =
  (world: World): Dispatch =>
  async ({ verb }: PerformRequest, call) => {
    await world.readings.end(call.serverId);
    if (verb === undefined) throw new Fault("invalid-argument", "the request names no verb");
    // The pairing of name and request holds by construction of the oneof; the compiler cannot follow it.
    const carryOut = VERBS[verb.$case] as (
      request: unknown,
      call: Call,
      world: World,
    ) => Promise<PerformResult>;
    return carryOut(verb.value, call, world);
  };
