/** What the engine runs on. */

import type { Clock } from "../clock.js";
import type { Transactions } from "../store/store.js";
import type { SagaKind } from "./kind.js";

export interface RunnerDependencies<World> {
  readonly store: Transactions;
  readonly clock: Clock;
  readonly random: () => number;
  /** Names this process in the guard of every write. */
  readonly owner: string;
  readonly kind: SagaKind<World>;
  readonly onBug: (error: unknown) => void;
}
