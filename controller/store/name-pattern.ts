/**
 * A part of a name to look for. Nova hands it to its database as a regular expression; one expression can take for ever, so
 * `^`, `$` and `.*` mean here what they mean there, and everything else stands for itself.
 */

import { Fault } from "../../proto/fault.js";

/** Names are shorter. */
const LONGEST = 1_000;

/** As the pattern of a LIKE with `\` as its escape. */
export function likeOf(text: string): string {
  if (text.length > LONGEST)
    throw new Fault("invalid-argument", `a name of ${text.length} characters is looked for`, {
      need: `at most ${LONGEST}`,
    });
  const [isStart, isEnd] = [text.startsWith("^"), text.endsWith("$") && !text.endsWith("\\$")];
  const inner = text.slice(isStart ? 1 : 0, isEnd ? -1 : undefined).replaceAll(/\\(.)/g, "$1");
  const parts = inner.split(".*").map(part => part.replaceAll(/[\\%_]/g, "\\$&"));
  return `${isStart ? "" : "%"}${parts.join("%")}${isEnd ? "" : "%"}`;
}
