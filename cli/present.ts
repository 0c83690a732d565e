/** An answer's message that has to be there; a controller that leaves it out is a defect, not an empty table. */

import assert from "node:assert/strict";

export function present<Message>(message: Message | undefined, what: string): Message {
  assert(message !== undefined, `the controller answered without ${what}`);
  return message;
}
