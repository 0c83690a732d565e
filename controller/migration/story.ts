/**
 * The story of a cold migration. Every step before the verdict can be taken back; from `release-target` on only a
 * person does so (SAFETY R3); after the verdict there is only forward.
 *
 *   step              task_state · status · host of the server while it is carried out
 *   claim-server      resize_prep      · –              · source     raises the epoch
 *   select-target     resize_prep      · pre-migrating  · source
 *   prepare-target    resize_prep      · pre-migrating  · source     the guest still runs
 *   stop-source       resize_migrating · migrating      · source     the guest is off from here …
 *   fence-source      resize_migrating · migrating      · source
 *   copy-disks        resize_migrating · migrating      · source
 *   prepare-disks     resize_finish    · post-migrating · target
 *   connect-target    resize_finish    · post-migrating · target
 *   define-target     resize_finish    · post-migrating · target
 *   create-target     resize_finish    · post-migrating · target
 *   release-target    resize_finish    · post-migrating · target     … to here
 *   VERIFY_RESIZE     –                · finished       · target     confirm, revert or auto-confirm
 *   retire-source     –                · confirming     · target
 *   release           –                · confirming     · target     ends confirmed
 *
 * A revert is `resize_reverting · reverting` until it ends `reverted`; whatever fails before the crossing ends `error`
 * with the server back on its source. The epoch is raised where responsibility changes hands, which is twice: to the
 * migration when it is claimed, and back to the source when its unwinding begins. Confirming keeps it: the target is
 * responsible already.
 */

import { type Plan, saga } from "../saga/plan.js";
import type { MigrationWorld } from "./migration-world.js";
import type { MigrationRequest } from "./request.js";
import { claimServer } from "./steps/claim-server.js";
import { connectTarget } from "./steps/connect-target.js";
import { copyDisks } from "./steps/copy-disks.js";
import { createTarget } from "./steps/create-target.js";
import { defineTarget } from "./steps/define-target.js";
import { fenceSource } from "./steps/fence-source.js";
import { prepareDisks } from "./steps/prepare-disks.js";
import { prepareTarget } from "./steps/prepare-target.js";
import { release } from "./steps/release.js";
import { releaseTarget } from "./steps/release-target.js";
import { retireSource } from "./steps/retire-source.js";
import { selectTarget } from "./steps/select-target.js";
import { stopSource } from "./steps/stop-source.js";

export const story: Plan<MigrationWorld, MigrationRequest> = saga<MigrationWorld, MigrationRequest>(
  "migration",
)
  .reversible(claimServer)
  .reversible(selectTarget)
  .reversible(prepareTarget)
  .reversible(stopSource)
  .reversible(fenceSource)
  .reversible(copyDisks)
  .reversible(prepareDisks)
  .reversible(connectTarget)
  .reversible(defineTarget)
  .reversible(createTarget)
  .crossing(releaseTarget)
  .verdict()
  .onward(retireSource)
  .onward(release)
  .seal();
