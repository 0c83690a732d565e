/** The host is enabled. That it is up and guards its servers is asked in any case (restrictions.ts). */

import { type Filter, PASS, refused } from "../filter.js";

export const computeFilter: Filter = {
  name: "ComputeFilter",
  prepare: () => host => {
    if (host.status === "enabled") return PASS;
    const because = host.disabledReason === "" ? "" : `: ${host.disabledReason}`;
    return refused(host, {
      message: `host ${host.name} is disabled${because}`,
      have: "disabled",
      need: "enabled",
      fix: `ferry host enable ${host.name}`,
    });
  },
};
