/**
 * What is not copied is made: swap with its old header, owners and modes; for a resize disks grow and new ones come.
 * Whatever changed gets a second receipt (SAFETY R11). From here on the server's host is the target, and its flavor
 * the new one.
 */

import type { CopyReceipt } from "../../../proto/gen/ferry/v1/agent.js";
import { nothingToUndo, type Reversible } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import { updateServer } from "../../store/servers.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { CopiedDisks } from "./copy-disks.js";
import type { FencedSource } from "./fence-source.js";
import type { PreparedTarget } from "./prepare-target.js";

export interface PreparedDisks {
  /** Every file: as it was copied, or as it became. */
  readonly receipt: CopyReceipt;
}

type Known = MigrationRequest & PreparedTarget & FencedSource & CopiedDisks;

export const prepareDisks: Reversible<MigrationWorld, Known, PreparedDisks> = {
  name: "prepare-disks",
  /** A disk that grows is read whole, to show that nothing else of it has changed. */
  limitMs: 24 * 3_600_000,

  async begun({ serverId, targetHost, flavor }, { queries, sagaId, nowMs }) {
    await updateServer(queries, serverId, { taskState: "resize_finish", host: targetHost, flavor }, nowMs);
    await updateMigration(queries, sagaId, { status: "post-migrating" }, nowMs);
  },

  async run({ targetHost, plan, finalManifest: { files }, copy }, world) {
    const { copy: second } = await world.perform(targetHost, {
      $case: "prepareDisks",
      value: { plan, files },
    });
    return { receipt: second === undefined ? copy : joined(copy, second) };
  },

  done: ({ receipt }, { queries, sagaId, nowMs }) =>
    updateMigration(queries, sagaId, { receipt: receipt.files }, nowMs),

  undo: nothingToUndo,
  undone: ({ serverId, sourceHost, oldFlavor }, { queries, nowMs }) =>
    updateServer(queries, serverId, { host: sourceHost, flavor: oldFlavor }, nowMs),
};

function joined(first: CopyReceipt, second: CopyReceipt): CopyReceipt {
  const changed = new Set(second.files.map(({ id }) => id));
  return { ...first, files: [...first.files.filter(({ id }) => !changed.has(id)), ...second.files] };
}
