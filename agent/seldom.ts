/**
 * What is told with every heartbeat and seldom changes: looked at again with every few of them. A look that failed is not
 * remembered.
 */

export const BEATS_BETWEEN_LOOKS = 6;

export function seldom<T>(look: () => Promise<T>): () => Promise<T> {
  let known: { readonly answer: T } | undefined;
  let asked = 0;
  return async () => {
    if (known === undefined || asked % BEATS_BETWEEN_LOOKS === 0) {
      known = undefined;
      asked = 0;
      known = { answer: await look() };
    }
    asked += 1;
    return known.answer;
  };
}
