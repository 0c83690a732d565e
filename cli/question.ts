/** Asks before something is lost. Nobody to ask, and no `--yes`, means no. */

import { Fault } from "../proto/fault.js";
import type { Shell } from "./shell.js";

/** Returns when the answer was yes. `warning` says what will be lost; it is shown even with `--yes`. */
export async function requireYes(
  shell: Shell,
  { warning, question, yes }: { readonly warning: string; readonly question: string; readonly yes: boolean },
): Promise<void> {
  if (warning !== "") shell.writeError(`${warning}\n`);
  if (yes) return;
  const answer = await shell.ask(`${question} [y/N] `);
  if (shell.interrupted.aborted) throw new Fault("cancelled", "nothing was done");
  if (answer === undefined) {
    throw new Fault("invalid-argument", "nobody is here to be asked", { fix: "say --yes when it is meant" });
  }
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new Fault("cancelled", "nothing was done");
}
