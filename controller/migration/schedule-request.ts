/** What the scheduler is asked for a migration: the same question for a dry run and for the real thing. */

import { resourcesOf } from "../placement/resources.js";
import type { ScheduleRequest } from "../scheduler/filter.js";
import type { MigrationRequest } from "./request.js";

export const scheduleRequestOf = ({
  flavor,
  sourceHost,
  mayStay,
  requestedHost,
  force,
}: Pick<
  MigrationRequest,
  "flavor" | "sourceHost" | "mayStay" | "requestedHost" | "force"
>): ScheduleRequest => ({
  needed: resourcesOf(flavor),
  sourceHost,
  mayStay,
  requestedHost,
  force,
  ignoreHosts: [],
});
