/**
 * Where sagas stood when they were last read. A saga's journal is read at each of its steps, and only ever grows: what is
 * read again is the last line that is known, and those after it. If that line is another one than it was the store was
 * replaced, and everything is read. Callers share what is answered; its lines are frozen.
 */

import { frozen } from "../store/frozen.js";
import { apply, fold, type SagaState } from "./fold.js";
import { decodeJson, type Entry, type Line } from "./journal-line.js";
import type { Facts, Plan } from "./plan.js";

/** A line as the store holds it. */
export interface Written {
  readonly line: string;
  readonly atMs: number;
}

interface Standing {
  /** How many lines there were. */
  readonly length: number;
  readonly last: Written;
  readonly state: SagaState;
}

const MOST_SAGAS = 200;

export class RememberedSagas {
  readonly #plan: Plan<never>;
  readonly #standings = new Map<string, Standing>();

  constructor(plan: Plan<never>) {
    this.#plan = plan;
  }

  /** `readFrom` answers the lines from that number on; the first one's is 1. `input` is what the saga was asked with. */
  async stateOf(
    id: string,
    input: string,
    readFrom: (seq: number) => Promise<readonly Written[]>,
  ): Promise<SagaState> {
    const known = this.#standings.get(id);
    if (known !== undefined) {
      const [last, ...later] = await readFrom(known.length);
      if (last !== undefined && isSame(last, known.last)) return this.#follow(id, known, later);
    }
    const all = await readFrom(1);
    const state = fold(this.#plan, frozen(decodeJson<Facts>(input)), all.map(read));
    return this.#keep(id, all.length, all.at(-1), state);
  }

  #follow(id: string, { length, last, state }: Standing, later: readonly Written[]): SagaState {
    const next = later.map(read).reduce((before, entry) => apply(this.#plan, before, entry), state);
    return this.#keep(id, length + later.length, later.at(-1) ?? last, next);
  }

  /** Those that were read last stay. */
  #keep(id: string, length: number, last: Written | undefined, state: SagaState): SagaState {
    this.#standings.delete(id);
    if (last !== undefined) this.#standings.set(id, { length, last, state });
    const [oldest] = this.#standings.keys();
    if (this.#standings.size > MOST_SAGAS && oldest !== undefined) this.#standings.delete(oldest);
    return state;
  }
}

const isSame = (one: Written, other: Written): boolean => one.line === other.line && one.atMs === other.atMs;

const read = ({ line, atMs }: Written): Entry => ({ line: frozen(decodeJson<Line>(line)), atMs });
