/**
 * What a step of a saga is. `run`, `undo` and `tidy` work on the world and may be carried out any number of times;
 * `begun`, `done` and `undone` write the store, in the very transaction that journals it.
 *
 *   reversible  run ⇄ undo; tidy when every undo is through      before the verdict
 *   onward      run                                               after it: there is only forward
 *
 * `Known` is what the request and the earlier steps give; the builder checks that nobody reads what nobody gave. All
 * members are properties, not methods, so that the check is contravariant.
 */

import type { Queries } from "../store/schema.js";

/** A transaction that commits together with a line of the journal. */
export interface Write {
  readonly queries: Queries;
  readonly sagaId: string;
  /** The epoch that holds once this transaction is committed. */
  readonly epoch: number;
  readonly nowMs: number;
}

/** Nothing may follow that could not be repeated: the same facts, written twice, are the same rows. */
export type Recorder<Known> = (known: Known, write: Write) => Promise<void>;

export interface Onward<World, Known, Gives extends object> {
  readonly name: string;
  /** How long an unknown outcome is repeated before the step counts as failed (or stuck, where nothing goes back). */
  readonly limitMs: number;
  readonly begun?: Recorder<Known>;
  readonly run: (known: Known, world: World) => Promise<Gives>;
  readonly done?: Recorder<Known & Gives>;
}

export interface Reversible<World, Known, Gives extends object> extends Onward<World, Known, Gives> {
  /** The same for undo and tidy, where taking back may rightly take longer than doing; else `limitMs`. */
  readonly undoLimitMs?: number;
  /** Tolerates "never done" and "half done": a failed step is undone too. */
  readonly undo: (known: Known & Partial<Gives>, world: World) => Promise<void>;
  readonly undone?: Recorder<Known & Partial<Gives>>;
  /** Removes what the step made, after everything is as it was before. */
  readonly tidy?: (known: Known & Partial<Gives>, world: World) => Promise<void>;
}

/** Says on the page that there is nothing to take back. */
export const nothingToUndo = async (): Promise<void> => {};

export type StepPhase = "run" | "undo" | "tidy";

/** One carrying-out of one step, as its world sees it. */
export interface StepCall {
  readonly sagaId: string;
  readonly step: string;
  readonly phase: StepPhase;
  readonly epoch: number;
  readonly term: number;
  readonly limitMs: number;
  /** The unwinding was a person's decision. */
  readonly byPerson: boolean;
  readonly signal: AbortSignal;
  /** A transaction of this step's own, refused when somebody else owns the saga by now. */
  commit<T>(body: (write: Write) => Promise<T>): Promise<T>;
}
