/** Drift as a table: what is not as the controller's records say. */

import type { Drift } from "../../proto/gen/ferry/v1/controller.js";
import type { Column } from "./table.js";

export const DRIFT_COLUMNS: readonly Column<Drift>[] = [
  { title: "Server", value: ({ server }) => server },
  { title: "Host", value: ({ host }) => host },
  { title: "Kind", value: ({ kind }) => kind },
  { title: "Found", value: ({ message }) => message },
  { title: "Fix", value: ({ fix, healed }) => (healed ? "healed" : fix) },
];
