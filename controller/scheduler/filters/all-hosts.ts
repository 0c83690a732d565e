/** Passes every host: to say that no filter is wanted. */

import type { Filter } from "../filter.js";

export const allHostsFilter: Filter = { name: "AllHostsFilter", prepare: () => undefined };
