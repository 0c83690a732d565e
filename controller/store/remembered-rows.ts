/**
 * Records of rows that were read before: most rows are as they were a moment ago, most cells of the others too, and making a
 * record of one costs more than reading it. The row itself, cell by cell, is what is compared, so it does not matter who
 * changed it, or in which transaction it was read. Callers share the records; they are frozen to the bottom.
 */

import { type Cell, type Column, type Columns, readCell } from "./columns.js";
import { frozen } from "./frozen.js";

const MOST_ROWS = 10_000;

interface Remembered<Record> {
  readonly cells: readonly Cell[];
  readonly record: Record;
}

export class RememberedRows<Record extends object> {
  readonly #fields: readonly (keyof Record)[];
  readonly #columns: readonly Column<unknown>[];
  readonly #mostRows: number;
  readonly #byId = new Map<string, Remembered<Record>>();

  constructor(columns: Columns<Record>, mostRows = MOST_ROWS) {
    this.#fields = Object.keys(columns) as (keyof Record)[];
    this.#columns = Object.values(columns);
    this.#mostRows = mostRows;
  }

  recordOf(row: { readonly id: string }): Record {
    const cells = this.#columns.map(({ name }) => (row as unknown as { [name: string]: Cell })[name] ?? null);
    const known = this.#byId.get(row.id);
    if (known?.cells.every((cell, index) => cell === cells[index])) return known.record;
    const record = this.#read(cells, known);
    // The oldest makes room.
    if (known === undefined && this.#byId.size >= this.#mostRows)
      this.#forget(this.#byId.keys().next().value);
    this.#byId.set(row.id, { cells, record });
    return record;
  }

  #read(cells: readonly Cell[], known: Remembered<Record> | undefined): Record {
    const record: Partial<Record> = {};
    for (const [index, field] of this.#fields.entries()) {
      const [column, cell = null] = [this.#columns[index] as Column<Record[keyof Record]>, cells[index]];
      const isSame = known !== undefined && known.cells[index] === cell;
      record[field] = isSame ? known.record[field] : frozen(readCell(column, cell));
    }
    return Object.freeze(record) as Record;
  }

  #forget(id: string | undefined): void {
    if (id !== undefined) this.#byId.delete(id);
  }
}
