/** What a filter is: one reason for which a host may not take a server, by Nova's name for it. */

import type { FaultInfo, Host } from "../../proto/gen/ferry/v1/model.js";
import type { Resources } from "../placement/resources.js";

export interface ScheduleRequest {
  readonly needed: Resources;
  /** Where the server is now; empty when it is nowhere yet. */
  readonly sourceHost: string;
  /** It may stay there: a resize where that is configured. */
  readonly mayStay: boolean;
  /** The only host that will do; empty: any. */
  readonly requestedHost: string;
  /** Overrules what is advice: that a host is disabled. What it has no room for and whether it answers are facts. */
  readonly force: boolean;
  readonly ignoreHosts: readonly string[];
}

export interface Filter {
  readonly name: string;
  /** Empty when the host passes. */
  readonly refusals: (host: Host, request: ScheduleRequest) => FaultInfo[];
}

interface Reason {
  readonly message: string;
  readonly have: string;
  readonly need: string;
  readonly fix: string;
}

export const refused = (host: Host, reason: Reason): FaultInfo => ({
  code: "no-valid-host",
  host: host.name,
  ...reason,
});
