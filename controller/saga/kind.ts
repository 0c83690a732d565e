/** What the engine asks of the family of sagas that it runs: the plan, the world, and what else a line changes. */

import type { SagaState } from "./fold.js";
import type { Line } from "./journal-line.js";
import type { Facts, Plan } from "./plan.js";
import type { StepCall, Write } from "./step.js";

export interface SagaKind<World> {
  readonly plan: Plan<World>;
  world(call: StepCall, known: Facts): World;
  /**
   * Responsibility changes hands: answers the new epoch. Asked in the transaction that begins the saga and in the one
   * that begins its unwinding, so that whatever an agent still does for the phase before is refused from then on.
   */
  raiseEpoch(known: Facts, write: Write): Promise<number>;
  /** This process takes the saga over from another one, with the same intent; answers the new term. */
  raiseTerm(known: Facts, write: Write): Promise<number>;
  /** In the transaction that would begin a step: may it begin now? Whoever lets it later pokes the saga. */
  mayBegin?(step: string, known: Facts, write: Write): Promise<boolean>;
  /** It may not begin yet; that is durable. */
  waits?(sagaId: string): void;
  /** Written with every line: what readers see of the saga. */
  follow(state: SagaState, line: Line, write: Write): Promise<void>;
  /** After the line is durable. A process that dies in between has not told of it. */
  committed(sagaId: string, line: Line): void;
  /** This process has taken over a saga of one that is gone, where it stood. */
  adopted(sagaId: string, state: SagaState): void;
  /** Wall clock at which a saga that has not crossed is taken back; absent while there is no hurry. */
  deadlineAtMs(known: Facts): number | undefined;
}
