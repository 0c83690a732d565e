/**
 * Tables as the OpenStack client draws them.
 *
 *     +----+-------+
 *     | ID | Name  |
 *     +----+-------+
 *     | 7  | web-3 |
 *     +----+-------+
 */

import { printable } from "./printable.js";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers line up at the right. */
  readonly right?: boolean;
}

export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map(row => columns.map(column => printable(column.value(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map(line => line[index]?.length ?? 0)),
  );
  const rule = `+${widths.map(width => "-".repeat(width + 2)).join("+")}+`;
  const pad = (cell: string, index: number) => {
    const width = widths[index] ?? 0;
    return columns[index]?.right === true ? cell.padStart(width) : cell.padEnd(width);
  };
  const draw = (line: readonly string[]) => `| ${line.map(pad).join(" | ")} |`;
  const body = cells.length === 0 ? [] : [...cells.map(draw), rule];
  return `${[rule, draw(columns.map(({ title }) => title)), rule, ...body].join("\n")}\n`;
}

export type Field = readonly [name: string, value: string];

/** One thing, a line per field; fields without a value are left out. */
export function renderRecord(fields: readonly Field[]): string {
  const columns: Column<Field>[] = [
    { title: "Field", value: ([name]) => name },
    { title: "Value", value: ([, value]) => value },
  ];
  return renderTable(
    columns,
    fields.filter(([, value]) => value !== ""),
  );
}
