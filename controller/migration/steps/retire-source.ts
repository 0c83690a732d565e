/**
 * The source is destroyed, which is the only thing in this story that cannot be taken back. Right before it the
 * target says once more that it is the one: this incarnation, this epoch, every disk present (SAFETY R15).
 */

import { Fault } from "../../../proto/fault.js";
import type { Onward } from "../../saga/step.js";
import { objectionTo } from "../attestation.js";
import { isGone } from "../fenced-host.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedTarget } from "./prepare-target.js";

export const retireSource: Onward<MigrationWorld, MigrationRequest & PreparedTarget, object> = {
  name: "retire-source",
  limitMs: 5 * 60_000,

  async run(known, world) {
    const { sourceHost, targetHost, plan } = known;
    const objection = objectionTo(await world.attest(targetHost), {
      incarnation: plan.incarnation,
      epoch: world.call.epoch,
    });
    if (objection !== undefined) {
      throw new Fault("refused", `the source is kept: ${targetHost} says that ${objection}`, {
        fix: `look at the server on ${targetHost}, then: ferry migration recover ${world.call.sagaId}`,
      });
    }
    if (isGone(known, sourceHost))
      await world.note(`not removed from ${sourceHost}, which was declared dead`);
    else await world.perform(sourceHost, { $case: "retireSource", value: {} });
    return {};
  },
};
