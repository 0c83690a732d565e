/**
 * Could everything of the source be restored? Asked while the target still runs (SAFETY R2); any doubt refuses.
 */

import type { PreflightRevert } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { Claim } from "../claim/claim.js";
import { refusal } from "../claim/refusal.js";
import { memoryAvailableMib } from "../claim/room.js";
import { isSameFile } from "../disk/file-identity.js";
import { whyNotUnfence } from "../fence/why-not-unfence.js";
import type { FileFacts } from "../os/files.js";
import { incomingIdentity } from "./incoming-artifacts.js";
import { logPaths } from "./log-files.js";
import { isSameHost } from "./same-host.js";
import { fenceKey, finalDocument, sourceDocument } from "./source-document.js";
import { findTargetDocument, type TargetDocument } from "./target-document.js";
import { missingNetworks } from "./target-networks.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const preflightRevert: Verb<PreflightRevert> = async (_request, call, world) => {
  const { incarnation } = sourceDocument(call, world);
  const key = fenceKey(call, incarnation);
  const saved = (await world.fence.journal.find(key))?.saved;
  const goesWithTarget = (path: string, facts: FileFacts) => isTargets(path, facts, call, world);
  const edges = { ...world.fence, hypervisor: world.hypervisor, goesWithTarget };
  const problems = await whyNotUnfence(edges, key);
  const networks = saved === undefined ? [] : await missingNetworks(saved.inactiveXml, world);
  const hookProblem = world.hook.problem();
  return result({
    refusals: [
      ...(hookProblem === ""
        ? []
        : [refusal("refused", `the libvirt hook does not guard the source: ${hookProblem}`)]),
      ...problems.map(problem => refusal("refused", `the source cannot be restored: ${problem}`)),
      ...networks.map(name => refusal("refused", `the source has no ${name} any more`)),
      ...(await missingMemory(call, world)),
    ],
  });
};

/** Made by this migration where the server stays on its host, or a log of what it made there. */
async function isTargets(path: string, facts: FileFacts, call: Call, world: World): Promise<boolean> {
  const made = await incomingIdentity(path, call, world);
  if (made !== undefined) return isSameFile(made, facts);
  const target = targetHere(call, world);
  return target !== undefined && logPaths(target.plan.domainXml, world).includes(path);
}

function targetHere(call: Call, world: World): TargetDocument | undefined {
  const target = findTargetDocument(call, world);
  return target !== undefined && isSameHost(target.sourceHost, world) ? target : undefined;
}

/** On one host the target's memory is free again when it has stopped, which is before the source is started. */
async function missingMemory(call: Call, world: World): Promise<FaultInfo[]> {
  const need = finalDocument(call, world)?.manifest.memoryMib ?? 0;
  const available = await memoryAvailableMib(call, world);
  const have = available === undefined ? undefined : available + targetMemoryMib(call, world);
  if (have !== undefined && have >= need) return [];
  return [
    refusal("refused", "the source has too little memory to take the guest back", {
      have: `${have ?? "unknown"} MiB`,
      need: `${need} MiB`,
    }),
  ];
}

function targetMemoryMib(call: Call, world: World): number {
  if (targetHere(call, world) === undefined) return 0;
  return world.documents.get<Claim>(call.serverId, call.migrationId, "claim")?.memoryMib ?? 0;
}
