/**
 * Records and rows: one table per kind of record says which column holds each field and how. Both directions and
 * partial updates come from that one table, so a field cannot be written one way and read another.
 */

import { readStored } from "../../proto/stored.js";

export type Cell = string | number | null;

export interface Column<Value> {
  readonly name: string;
  readonly write: (value: Value) => Cell;
  readonly read: (cell: Cell) => Value;
}

export type Columns<Record> = { readonly [Field in keyof Record]-?: Column<Record[Field]> };

export const text = (name: string): Column<string> => ({ name, write: value => value, read: String });
export const int = (name: string): Column<number> => ({ name, write: value => value, read: Number });
export const flag = (name: string): Column<boolean> => ({
  name,
  write: value => (value ? 1 : 0),
  read: cell => cell === 1,
});

/** How a protobuf message travels as JSON. */
export interface MessageCodec<Message> {
  toJSON(message: Message): unknown;
  fromJSON(json: unknown): Message;
}

export const message = <Message>(name: string, codec: MessageCodec<Message>): Column<Message> => ({
  name,
  write: value => JSON.stringify(codec.toJSON(value)),
  read: cell => codec.fromJSON(JSON.parse(String(cell))),
});

export const optionalMessage = <Message>(
  name: string,
  codec: MessageCodec<Message>,
): Column<Message | undefined> => ({
  name,
  write: value => (value === undefined ? null : JSON.stringify(codec.toJSON(value))),
  read: cell => (cell === null ? undefined : codec.fromJSON(JSON.parse(String(cell)))),
});

export const messages = <Message>(
  name: string,
  codec: MessageCodec<Message>,
): Column<readonly Message[]> => ({
  name,
  write: value => JSON.stringify(value.map(item => codec.toJSON(item))),
  read: cell => (JSON.parse(String(cell)) as unknown[]).map(item => codec.fromJSON(item)),
});

export const texts = (name: string): Column<readonly string[]> => ({
  name,
  write: value => JSON.stringify(value),
  read: cell => JSON.parse(String(cell)) as string[],
});

export const textMap = (name: string): Column<Readonly<Record<string, string>>> => ({
  name,
  write: value => JSON.stringify(value),
  read: cell => JSON.parse(String(cell)) as Record<string, string>,
});

type AnyColumn = Column<unknown>;

/** The named fields as cells; fields that are absent stay as they are in the store. */
export function toRow<Record extends object>(columns: Columns<Record>, record: Partial<Record>): object {
  const cells = Object.entries(record).map(([field, value]) => {
    const column = columns[field as keyof Record] as AnyColumn;
    return [column.name, column.write(value)];
  });
  return Object.fromEntries(cells);
}

export function toRecord<Record extends object>(columns: Columns<Record>, row: object): Record {
  const cells = new Map<string, Cell>(Object.entries(row));
  const fields = Object.entries(columns).map(([field, column]) => {
    return [field, readCell(column as AnyColumn, cells.get((column as AnyColumn).name) ?? null)];
  });
  return Object.fromEntries(fields);
}

export const readCell = <Value>({ name, read }: Column<Value>, cell: Cell): Value =>
  readStored(`column ${name} of the store`, () => read(cell));
