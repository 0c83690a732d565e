/**
 * From stopped to provably unable to run at the source, with the source's signed word for it: the fence receipt,
 * without which no target starts. Refused when the source is no longer what was prepared (SAFETY R17).
 */

import { Fault } from "../../../proto/fault.js";
import type { FencedHost, Receipt, SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import type { Reversible } from "../../saga/step.js";
import { isGone } from "../fenced-host.js";
import { withdrawTarget } from "../leave-target.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedTarget } from "./prepare-target.js";

export interface FencedSource {
  readonly fenceReceipt: Receipt;
  /** The source as it is now that nothing changes any more. */
  readonly finalManifest: SourceManifest;
}

export const fenceSource: Reversible<MigrationWorld, MigrationRequest & PreparedTarget, FencedSource> = {
  name: "fence-source",
  limitMs: 5 * 60_000,

  async run({ sourceHost, targetHost, manifest, plan }, world) {
    const sharedFiles = plan.files.filter(({ mode }) => mode === "shared").map(({ id }) => id);
    const { receipt, manifest: final } = await world.perform(sourceHost, {
      $case: "fenceIncarnation",
      value: { stateHash: manifest.stateHash, peerHost: targetHost, sharedFiles },
    });
    if (receipt === undefined) throw new Fault("internal", `${sourceHost} answered no fence receipt`);
    return { fenceReceipt: receipt, finalManifest: final ?? manifest };
  },

  /** The target gives its word first, or a person for it; only then may the source be able to run again (SAFETY R4). */
  async undo(known, world) {
    const mirrorReceipt = await withdrawTarget(known, world);
    await world.perform(known.sourceHost, {
      $case: "unfenceIncarnation",
      // Started by the undo of stop-source, which knows whether it ran.
      value: { mirrorReceipt, start: false, peerHost: known.targetHost, fencedHost: wordFor(known) },
    });
  },
};

const wordFor = (known: MigrationRequest & PreparedTarget): FencedHost | undefined =>
  isGone(known, known.targetHost) ? known.fencedHost : undefined;
