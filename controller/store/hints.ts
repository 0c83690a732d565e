/**
 * Words between controllers that share a store: "look at this again". They are hints: one may be lost, and one without
 * a name says that any of them may have been, so whoever listens looks at everything it cares for.
 */

export type Topic = "migration" | "saga" | "turn";

/** `id` is absent when everything may have changed. */
export type HintListener = (topic: Topic, id: string | undefined) => void;

export interface Hints {
  /** To the other controllers, not to oneself. Never rejects; what cannot be said is found by looking. */
  announce(topic: Topic, id: string): void;
  /** Until the function that it answers is called. */
  listen(listener: HintListener): () => void;
}

/** For a store that nobody shares: there is nobody to tell. */
export const NO_HINTS: Hints = { announce: () => undefined, listen: () => () => undefined };
