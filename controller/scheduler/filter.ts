/** What a filter is: one reason for which a host may not take a server, by Nova's name for it. */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { HostState } from "./host-state.js";
import type { ScheduleRequest } from "./request.js";
import type { SchedulerSettings } from "./settings.js";

export interface Filter {
  readonly name: string;
  /**
   * Reads the request once and answers what is then asked of every host; undefined when the request does not concern
   * this filter, so that it costs nothing.
   */
  readonly prepare: (request: ScheduleRequest, settings: SchedulerSettings) => Check | undefined;
}

export interface Check {
  /** Asked of thousands of hosts for one decision: makes nothing. */
  readonly passes: (host: HostState) => boolean;
  /** Asked only of hosts that do not pass, and only when somebody wants to know. */
  readonly why: (host: HostState) => Reason | readonly Reason[];
}

export interface Reason {
  readonly message: string;
  readonly have: string;
  readonly need: string;
  readonly fix: string;
}

/** Every reason against a host; none when it passes. */
export function refusalsOf({ passes, why }: Check, host: HostState): FaultInfo[] {
  if (passes(host)) return [];
  return [why(host)].flat().map(reason => refusal(host, reason));
}

export const refusal = ({ name }: Pick<HostState, "name">, reason: Reason): FaultInfo => ({
  code: "no-valid-host",
  host: name,
  ...reason,
});
