/** What a row of the table is: one way to copy a file from source to target. */

import type { Stage } from "../stage.js";

export interface Row {
  readonly name: string;
  /** What is encrypted, what is checked. */
  readonly summary: string;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  /** Everything up to "both ends are ready"; not measured. */
  readonly prepare: (stage: Stage) => Promise<Prepared>;
}

export interface Prepared {
  /** The copy itself: measured. Answers what is worth a line below the table. */
  copy(): Promise<string | undefined>;
  /** Resolves when both ends have done all the work that belongs to the copy; its processor time counts, its wall time does not. */
  settled?(): Promise<void>;
}
