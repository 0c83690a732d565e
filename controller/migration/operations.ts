/** What a person or a program can ask of migrations. */

import { Fault } from "../../proto/fault.js";
import type { HostVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import type { Clock } from "../clock.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { Fleet } from "../fleet/fleet.js";
import type { MigrationSelection } from "../store/migrations.js";
import type { Store } from "../store/store.js";
import type { MigrationSettings } from "./settings.js";

export interface MigrationDependencies {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly agent: AgentPort;
  readonly clock: Clock;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
  readonly newId: () => string;
  readonly settings: MigrationSettings;
  /** Names this process in the guard of every write. */
  readonly owner: string;
  /** A saga's loop ended by a bug: the process should end, its successor resumes from the journal. */
  readonly onBug: (error: unknown) => void;
}

export interface MigrateRequest {
  /** Name or id. */
  readonly server: string;
  /** Absent: the scheduler chooses. */
  readonly host?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly shutdownTimeoutMs?: number | undefined;
  readonly gracefulOnly?: boolean | undefined;
  /** refuse (default) | carry */
  readonly readOnlyDrives?: string | undefined;
  readonly requestedBy: string;
}

export interface MigrateAnswer {
  /** Absent for a dry run. */
  readonly migration: Migration | undefined;
  readonly verdicts: HostVerdict[];
}

export interface RecoverAnswer {
  readonly migration: Migration;
  readonly findings: string[];
  readonly plan: string[];
}

export interface MigrationChange {
  readonly migration: Migration;
  /** One line of the story, or empty for progress only. */
  readonly event: string;
  readonly atMs: number;
}

export class Migrations {
  constructor(deps: MigrationDependencies) {
    void deps;
  }
  /** Resumes every live migration from its journal. */
  start(): Promise<void> {
    throw unwritten();
  }
  close(): Promise<void> {
    throw unwritten();
  }
  migrate(request: MigrateRequest): Promise<MigrateAnswer> {
    throw unwritten(request);
  }
  confirm(server: string, requestedBy: string): Promise<Migration> {
    throw unwritten(server, requestedBy);
  }
  revert(server: string, options: { discardWrites: boolean; requestedBy: string }): Promise<Migration> {
    throw unwritten(server, options);
  }
  cancel(id: string, requestedBy: string): Promise<Migration> {
    throw unwritten(id, requestedBy);
  }
  recover(id: string, options: { planOnly: boolean; requestedBy: string }): Promise<RecoverAnswer> {
    throw unwritten(id, options);
  }
  watch(id: string, options: { signal: AbortSignal; untilEnded: boolean }): AsyncIterable<MigrationChange> {
    throw unwritten(id, options);
  }
  show(id: string): Promise<Migration> {
    throw unwritten(id);
  }
  list(selection?: MigrationSelection): Promise<Migration[]> {
    throw unwritten(selection);
  }
}

const unwritten = (...asked: unknown[]): Fault =>
  new Fault("unsupported", `not written yet: ${asked.length}`);
