/**
 * Kysely's words for SQLite, planned once. SQLite plans a statement anew whenever a value is bound that its planner has
 * looked at (a LIMIT, an ORDER BY beside a condition, the condition of a partial index), which costs several times what the
 * statement itself does. A sign before a parameter keeps the planner from looking, and changes no value. A condition that a
 * partial index is to serve must therefore be written as a literal.
 */

import { type QueryCompiler, SqliteDialect, SqliteQueryCompiler } from "kysely";

export class PlannedOnceDialect extends SqliteDialect {
  override createQueryCompiler(): QueryCompiler {
    return new PlannedOnceCompiler();
  }
}

class PlannedOnceCompiler extends SqliteQueryCompiler {
  protected override getCurrentParameterPlaceholder(): string {
    return "+?";
  }
}
