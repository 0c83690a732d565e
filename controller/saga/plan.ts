/**
 * Sagas as typed columns of steps. Illegal ones do not compile (test/types): a step that reads what no earlier one
 * gave, a step without undo before the verdict, an undo after it, a verdict without the crossing before it.
 *
 *   saga<World, Request>("name").reversible(a).reversible(b).crossing(c).verdict().onward(d).seal()
 *
 * The *crossing* is the step after whose beginning only a person may turn back: from then on its effect may have
 * been seen by the outside world (SAFETY R3).
 */

import type { Onward, Reversible } from "./step.js";

/** What the engine knows of facts: that they are named. */
export type Facts = Readonly<Record<string, unknown>>;

export type PlannedStep<World> = Reversible<World, Facts, Facts>;
export type PlannedOnward<World> = Onward<World, Facts, Facts>;

export interface Plan<World, Request = object> {
  readonly name: string;
  /** In order; the crossing is the last one. */
  readonly reversible: readonly PlannedStep<World>[];
  readonly crossing: string;
  readonly onward: readonly PlannedOnward<World>[];
  /** Only for the compiler: what the saga is asked with. */
  readonly request?: Request;
}

export interface Drafting<World, Request, Known> {
  reversible<Gives extends object>(
    step: Reversible<World, Known, Gives>,
  ): Drafting<World, Request, Known & Gives>;
  crossing<Gives extends object>(
    step: Reversible<World, Known, Gives>,
  ): Crossed<World, Request, Known & Gives>;
}

export interface Crossed<World, Request, Known> {
  verdict(): Sealing<World, Request, Known>;
}

export interface Sealing<World, Request, Known> {
  onward<Gives extends object>(step: Onward<World, Known, Gives>): Sealing<World, Request, Known & Gives>;
  seal(): Plan<World, Request>;
}

export function saga<World, Request extends object>(name: string): Drafting<World, Request, Request> {
  return new Draft<World, Request, Request>({ name, reversible: [], crossing: "", onward: [] });
}

/** All three faces in one: which of them a caller sees is the type's business. */
class Draft<World, Request, Known>
  implements Drafting<World, Request, Known>, Crossed<World, Request, Known>, Sealing<World, Request, Known>
{
  readonly #plan: Plan<World, Request>;

  constructor(plan: Plan<World, Request>) {
    this.#plan = plan;
  }

  reversible<Gives extends object>(step: Reversible<World, Known, Gives>) {
    const reversible = [...this.#plan.reversible, erased<PlannedStep<World>>(step)];
    return new Draft<World, Request, Known & Gives>({ ...this.#plan, reversible });
  }

  crossing<Gives extends object>(step: Reversible<World, Known, Gives>) {
    const reversible = [...this.#plan.reversible, erased<PlannedStep<World>>(step)];
    return new Draft<World, Request, Known & Gives>({ ...this.#plan, reversible, crossing: step.name });
  }

  verdict() {
    return this;
  }

  onward<Gives extends object>(step: Onward<World, Known, Gives>) {
    const onward = [...this.#plan.onward, erased<PlannedOnward<World>>(step)];
    return new Draft<World, Request, Known & Gives>({ ...this.#plan, onward });
  }

  seal(): Plan<World, Request> {
    return this.#plan;
  }
}

/** The one place where the builder's knowledge of facts is let go: the engine hands each step what it was checked for. */
function erased<Erased>(step: unknown): Erased {
  return step as Erased;
}
