/**
 * Could everything of the source be restored? Asked while the target still runs (SAFETY R2); any doubt refuses.
 */

import type { PreflightRevert } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { memoryAvailableMib } from "../claim/room.js";
import { whyNotUnfence } from "../fence/why-not-unfence.js";
import { fenceKey, finalDocument, sourceDocument } from "./fence-incarnation.js";
import { missingNetworks } from "./target-networks.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const preflightRevert: Verb<PreflightRevert> = async (_request, call, world) => {
  const { incarnation } = sourceDocument(call, world);
  const key = fenceKey(call, incarnation);
  const saved = (await world.fence.journal.find(key))?.saved;
  const problems = await whyNotUnfence({ ...world.fence, hypervisor: world.hypervisor }, key);
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

async function missingMemory(call: Call, world: World): Promise<FaultInfo[]> {
  const need = finalDocument(call, world)?.manifest.memoryMib ?? 0;
  const have = await memoryAvailableMib(call, world);
  if (have !== undefined && have >= need) return [];
  return [
    refusal("refused", "the source has too little memory to take the guest back", {
      have: `${have ?? "unknown"} MiB`,
      need: `${need} MiB`,
    }),
  ];
}
