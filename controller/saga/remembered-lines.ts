/**
 * Lines of journals that were read before: a saga's journal is read at each of its steps, and all but its last line are
 * then what they were. What is compared is the text that the store holds, so it does not matter who wrote it, or whether the
 * store was replaced. Callers share the lines; they are frozen.
 */

import { frozen } from "../store/frozen.js";
import { decodeJson, type Entry, type Line } from "./journal-line.js";

interface Written {
  readonly line: string;
  readonly atMs: number;
}

interface Remembered extends Entry {
  readonly text: string;
}

const MOST_SAGAS = 200;

export class RememberedLines {
  readonly #bySaga = new Map<string, readonly Remembered[]>();

  entriesOf(sagaId: string, written: readonly Written[]): readonly Entry[] {
    const known = this.#bySaga.get(sagaId) ?? [];
    const entries = written.map((row, index) =>
      known.at(index)?.text === row.line ? { ...(known[index] as Remembered), atMs: row.atMs } : read(row),
    );
    this.#keep(sagaId, entries);
    return entries;
  }

  /** Those that have moved last stay. */
  #keep(sagaId: string, entries: readonly Remembered[]): void {
    this.#bySaga.delete(sagaId);
    this.#bySaga.set(sagaId, entries);
    const [oldest] = this.#bySaga.keys();
    if (this.#bySaga.size > MOST_SAGAS && oldest !== undefined) this.#bySaga.delete(oldest);
  }
}

const read = ({ line, atMs }: Written): Remembered => ({
  line: frozen(decodeJson<Line>(line)),
  atMs,
  text: line,
});
