/**
 * Records of rows that were read before: most rows of a list are as they were a moment ago, and making a record of one
 * costs more than reading it. The row itself, cell by cell, is what is compared, so it does not matter who changed it, or
 * in which transaction it was read. Callers share the records; they are frozen to the bottom.
 */

import { type Cell, type Columns, toRecord } from "./columns.js";
import { frozen } from "./frozen.js";

const MOST_ROWS = 10_000;

interface Remembered<Record> {
  readonly cells: readonly Cell[];
  readonly record: Record;
}

export class RememberedRows<Record extends object> {
  readonly #columns: Columns<Record>;
  readonly #names: readonly string[];
  readonly #byId = new Map<string, Remembered<Record>>();

  constructor(columns: Columns<Record>) {
    this.#columns = columns;
    const all = Object.values(columns) as { readonly name: string }[];
    this.#names = all.map(({ name }) => name);
  }

  recordOf(row: { readonly id: string }): Record {
    const cells = this.#names.map(name => (row as unknown as { [column: string]: Cell })[name] ?? null);
    const known = this.#byId.get(row.id);
    if (known?.cells.every((cell, index) => cell === cells[index])) return known.record;
    const record = frozen(toRecord(this.#columns, row));
    // The oldest makes room.
    if (known === undefined && this.#byId.size >= MOST_ROWS) this.#forget(this.#byId.keys().next().value);
    this.#byId.set(row.id, { cells, record });
    return record;
  }

  #forget(id: string | undefined): void {
    if (id !== undefined) this.#byId.delete(id);
  }
}
