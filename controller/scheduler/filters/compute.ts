/** The host is enabled. That it is up and guards its servers is asked in any case (restrictions.ts). */

import type { Filter } from "../filter.js";

export const computeFilter: Filter = {
  name: "ComputeFilter",
  prepare: () => ({
    passes: ({ status }) => status === "enabled",
    why: ({ name, disabledReason }) => ({
      message: `host ${name} is disabled${disabledReason === "" ? "" : `: ${disabledReason}`}`,
      have: "disabled",
      need: "enabled",
      fix: `ferry host enable ${name}`,
    }),
  }),
};
