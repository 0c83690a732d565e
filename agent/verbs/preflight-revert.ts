/**
 * Could everything of the source be restored? Asked while the target still runs (SAFETY R2); any doubt refuses.
 */

import { open } from "node:fs/promises";
import { asFault } from "../../proto/fault.js";
import type { PreflightRevert } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { memoryAvailableMib } from "../claim/room.js";
import type { FenceRecord } from "../fence/fence-record.js";
import { locate } from "../fence/set-aside.js";
import { fenceKey, finalDocument, sourceDocument } from "./fence-incarnation.js";
import { missingNetworks } from "./target-networks.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const preflightRevert: Verb<PreflightRevert> = async (_request, call, world) => {
  const { incarnation } = sourceDocument(call, world);
  const record = await world.fence.journal.find(fenceKey(call, incarnation));
  if (record?.state !== "fenced" || record.saved === undefined) {
    return result({
      refusals: [
        refusal("refused", `the source is ${record?.state ?? "unknown"}, not fenced: it cannot be restored`),
      ],
    });
  }
  const hookProblem = world.hook.problem();
  return result({
    refusals: [
      ...(hookProblem === ""
        ? []
        : [refusal("refused", `the libvirt hook does not guard the source: ${hookProblem}`)]),
      ...(await lostFiles(record, world)),
      ...(await takenNames(record, call, world)),
      ...(await missingNetworks(record.saved.inactiveXml, world)).map(name =>
        refusal("refused", `the source has no ${name} any more`),
      ),
      ...(await missingMemory(call, world)),
    ],
  });
};

async function lostFiles(record: FenceRecord, world: World): Promise<FaultInfo[]> {
  const problems = record.files.map(async file => {
    try {
      const path = await locate(world.files, file);
      if (!(await world.isFolder(path))) await (await open(path, "r")).close();
      return [];
    } catch (error) {
      return [refusal("refused", `the source's ${file.id} cannot be restored: ${asFault(error).message}`)];
    }
  });
  return (await Promise.all(problems)).flat();
}

async function takenNames(record: FenceRecord, call: Call, { hypervisor }: World): Promise<FaultInfo[]> {
  const byUuid = await hypervisor.findDomain(call.serverId);
  const byName = await hypervisor.findDomainByName(record.saved?.name ?? "");
  if (byUuid === undefined && byName === undefined) return [];
  return [
    refusal("already-exists", "a domain with this server's name or uuid is defined on the source", {
      fix: "undefine or rename it there",
    }),
  ];
}

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
