/**
 * What was read out of a text, remembered by the text: the same documents are read at each step of a migration and at each
 * heartbeat, and to parse one costs more than all the rest. For what depends on nothing else; callers share the answer. What
 * throws is not remembered.
 */

/** The `most` texts that were read last are kept. */
export function rememberedByText<Answer>(
  most: number,
  read: (text: string) => Answer,
): (text: string) => Answer {
  const known = new Map<string, Answer>();
  return text => {
    const isKnown = known.has(text);
    const answer = isKnown ? (known.get(text) as Answer) : read(text);
    if (isKnown) known.delete(text);
    else if (known.size >= most) known.delete(known.keys().next().value as string);
    known.set(text, answer);
    return answer;
  };
}
