/** A step of which only the name matters: it does nothing, and there is nothing to take back or to clean up. */

import { nothingToUndo } from "../../../controller/saga/step.js";

export const idleStep = (name: string) => ({
  name,
  limitMs: 1,
  run: async () => ({}),
  undo: nothingToUndo,
  tidy: nothingToUndo,
});
