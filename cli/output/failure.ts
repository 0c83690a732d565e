/**
 * A fault as an operator reads it: one clear sentence, then what is there, what is needed and how to get it.
 *
 *     ferry: web-3 cannot go to h2: not enough memory
 *       have: 1024 MiB free
 *       need: 2048 MiB
 *       fix:  choose a smaller flavor, or another host
 */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { printable } from "./printable.js";

type Reason = Omit<FaultInfo, "code">;

export function renderFailure(fault: Reason): string {
  return `ferry: ${printable(fault.message)}\n${renderDetail(fault)}`;
}

/** The indented lines alone; nothing when there is nothing to add. */
export function renderDetail({ have, need, fix, host }: Reason): string {
  const lines = [
    ["host:", host],
    ["have:", have],
    ["need:", need],
    ["fix: ", fix],
  ] as const;
  const present = lines.filter(([, value]) => value !== "");
  return present.map(([name, value]) => `  ${name} ${printable(value)}\n`).join("");
}
