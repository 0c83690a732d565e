/**
 * A request that comes twice is carried out once: a caller who lost the answer asks again, a network repeats a message.
 *
 * The caller's id for it is recorded with the action, in the transaction that decides it. So it holds over restarts and
 * for several controllers, and of two that come at once one is refused by the record of the other. What was refused has
 * left no record, and is judged anew.
 */

import { Fault } from "../../proto/fault.js";
import { type ActionRecord, findRequested } from "../store/actions.js";
import type { Queries } from "../store/schema.js";
import type { Requester } from "./requester.js";

interface Answers<Answer> {
  readonly begin: () => Promise<Answer>;
  /** Of what was begun before. */
  readonly again: (begun: ActionRecord) => Promise<Answer>;
}

export async function askedOnce<Answer>(
  queries: Queries,
  requester: Requester,
  { begin, again }: Answers<Answer>,
): Promise<Answer> {
  const begun = await sameRequest(queries, requester);
  if (begun !== undefined) return again(begun);
  try {
    return await begin();
  } catch (error) {
    if (!(error instanceof Fault) || error.isUnknown) throw error;
    const first = await sameRequest(queries, requester);
    if (first === undefined) throw error;
    return again(first);
  }
}

async function sameRequest(
  queries: Queries,
  { requestId, requestDigest }: Requester,
): Promise<ActionRecord | undefined> {
  if (requestDigest === undefined) return undefined;
  const begun = await findRequested(queries, requestId);
  if (begun === undefined || begun.requestDigest === requestDigest) return begun;
  throw new Fault("invalid-argument", `another request was made under the id ${requestId} before`, {
    need: "an id of its own for each request; the same one only to ask the very same again",
  });
}
