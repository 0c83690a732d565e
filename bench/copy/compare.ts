/**
 * Is the copy what the source is? Asked of `cmp`, which shares no code with anything measured here.
 *
 * Only its own answer counts: when it is killed (an interrupt reaches it, too) or cannot read, nothing is known, and
 * nothing is said about the copy.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { Fault } from "../../proto/fault.js";

const EQUAL = 0;
const DIFFERENT = 1;

export async function areEqual(one: string, other: string, signal: AbortSignal): Promise<boolean> {
  if (statSync(one).size !== statSync(other).size) return false;
  const child = spawn("cmp", ["--silent", one, other], { stdio: "ignore", signal });
  const [code, killedBy] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (code === EQUAL) return true;
  if (code === DIFFERENT) return false;
  throw new Fault("failed", `cmp ended with ${code ?? killedBy}`);
}
