/** Where a command's answer goes: a table for people, or JSON (`-o json`) with every field and raw numbers. */

import type { Shell } from "../shell.js";
import { type Column, type Field, renderRecord, renderTable } from "./table.js";

export type Format = "table" | "json";

export class Output {
  readonly format: Format;
  readonly #shell: Shell;

  constructor(shell: Shell, format: Format) {
    this.#shell = shell;
    this.format = format;
  }

  list<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
    if (this.format === "json") this.json(rows);
    else this.#shell.write(renderTable(columns, rows));
  }

  /** One thing: `value` for programs, `fields` for people. */
  record(value: object, fields: readonly Field[]): void {
    if (this.format === "json") this.json(value);
    else this.#shell.write(renderRecord(fields));
  }

  /** A sentence for people; programs see the result of the call instead. */
  say(sentence: string): void {
    if (this.format === "table") this.#shell.write(`${sentence}\n`);
  }

  json(value: unknown): void {
    this.#shell.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }
}
