/** What migrations and servers are made of; wired in main. */

import type { Clock } from "../clock.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { Fleet } from "../fleet/fleet.js";
import type { SagaState } from "../saga/fold.js";
import type { Line } from "../saga/journal-line.js";
import type { Scheduler } from "../scheduler/scheduler.js";
import type { Hints } from "../store/hints.js";
import type { Transactions } from "../store/store.js";
import type { MigrationSettings } from "./settings.js";

export interface MigrationDependencies {
  readonly store: Transactions;
  /** To and from other controllers on the same store. */
  readonly hints: Hints;
  readonly fleet: Fleet;
  readonly scheduler: Scheduler;
  readonly agent: AgentPort;
  readonly clock: Clock;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
  /** A fresh uuid. */
  readonly newId: () => string;
  readonly settings: MigrationSettings;
  /** Names this process in the guard of every write; fresh at each start. */
  readonly owner: string;
  /** A loop ended by a bug: the process should end, its successor resumes from the journal. */
  readonly onBug: (error: unknown) => void;
  /** A line of a migration's journal is durable. */
  readonly onLine: (migrationId: string, line: Line) => void;
  /** It was carried out by a controller that is gone, and is carried on from here. */
  readonly onTakenUp: (migrationId: string, state: SagaState) => void;
}
