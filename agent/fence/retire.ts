/**
 * The end of a fenced incarnation: its files are removed by identity, then its saved state (SAFETY R5, R10).
 *
 * What stays is the record that denies it. Only files that were set aside are removed; shared disks and volumes never
 * were. Another file under a fenced name stops everything before the next one is touched.
 */

import { Fault } from "../../proto/fault.js";
import { isSameFile } from "../disk/file-identity.js";
import type { FenceEdges } from "./fence.js";
import type { FenceKey, FenceRecord } from "./fence-record.js";
import { factsAt, removeAside } from "./set-aside.js";

export interface Retired {
  /** Ids of the files removed now, and of those that were gone already. */
  readonly removed: readonly string[];
  readonly missing: readonly string[];
}

export async function retire(edges: Pick<FenceEdges, "files" | "journal">, key: FenceKey): Promise<Retired> {
  const record = await edges.journal.find(key);
  if (record?.state === "retired") return { removed: [], missing: [] };
  if (record?.state !== "fenced") {
    throw new Fault(
      "conflict",
      `retire ${key.incarnation}: it is ${record?.state ?? "unknown here"}, not fenced`,
    );
  }
  const aside = record.files.filter(file => file.path !== file.asidePath);
  await requireNothingForeign(edges, aside);
  const retired: { removed: string[]; missing: string[] } = { removed: [], missing: [] };
  for (const file of aside) {
    const list = (await removeAside(edges.files, file)) ? retired.removed : retired.missing;
    list.push(file.id);
  }
  const { saved: _removed, ...rest } = record;
  await edges.journal.put({ ...rest, state: "retired", files: [] });
  return retired;
}

/** Before the first removal: either every name is ours or gone, or nothing is touched. */
async function requireNothingForeign(
  { files }: Pick<FenceEdges, "files">,
  aside: FenceRecord["files"],
): Promise<void> {
  for (const { asidePath, identity } of aside) {
    const found = await factsAt(files, asidePath);
    if (found === undefined || isSameFile(found, identity)) continue;
    throw new Fault("refused", `${asidePath} is not the file that was set aside; nothing was removed`, {
      fix: "move it away and repeat",
    });
  }
}
