/** What a filter is: one reason for which a host may not take a server, by Nova's name for it. */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { HostState } from "./host-state.js";
import type { ScheduleRequest } from "./request.js";
import type { SchedulerSettings } from "./settings.js";

/** Every reason against a host; none when it passes. */
export type Check = (host: HostState) => readonly FaultInfo[];

export interface Filter {
  readonly name: string;
  /**
   * Reads the request once and answers what is then asked of every host; undefined when the request does not concern
   * this filter, so that it costs nothing.
   */
  readonly prepare: (request: ScheduleRequest, settings: SchedulerSettings) => Check | undefined;
}

/** The answer of a host that passes: one object for all. */
export const PASS: readonly FaultInfo[] = [];

interface Reason {
  readonly message: string;
  readonly have: string;
  readonly need: string;
  readonly fix: string;
}

export const refused = ({ name }: Pick<HostState, "name">, reason: Reason): FaultInfo[] => [
  { code: "no-valid-host", host: name, ...reason },
];
