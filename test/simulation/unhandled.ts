/**
 * What no code caught ends the simulated process that it happened in, as Node would end a real one; in no process, it is
 * ours. Put in place of whoever listened before: a test runner would count what dead processes leave behind.
 */

import { context } from "./world/process.js";

export function watchUnhandledRejections(onOwn: (error: unknown) => void): void {
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", error => {
    const owner = context.getStore();
    if (owner === undefined) onOwn(error);
    else owner.machine.uncaught(owner, error);
  });
}
