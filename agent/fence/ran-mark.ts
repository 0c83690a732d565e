/**
 * The hook's record that an incarnation was started behind the agent's back: STATE_DIR/ran/UUID (SAFETY R3).
 *
 * From `at` on its CPUs may have run, so that no automatic unwinding may discard what it wrote. A mark that does not
 * read is a fault: unknown is not no.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import { removeDurably } from "./durable-file.js";

export interface RanMark {
  readonly incarnation: string;
  /** UTC, to the second, as the hook saw it. */
  readonly at: Date;
}

const pathOf = (stateDir: string, server: string): string => join(stateDir, "ran", server);

/** Undefined: the hook has allowed no foreign start since the mark was last cleared. */
export async function readRanMark(stateDir: string, server: string): Promise<RanMark | undefined> {
  const path = pathOf(stateDir, server);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const [, incarnation, time] = /^(\S+) (\S+)\n$/.exec(text) ?? [];
  const at = new Date(time ?? Number.NaN);
  if (incarnation === undefined || Number.isNaN(at.getTime())) {
    throw new Fault("corrupt", `${path} does not say which incarnation was started`, {
      fix: `read it, then remove it if the server has not run since its last migration`,
    });
  }
  return { incarnation, at };
}

/** Once the journal holds the mark itself. */
export const clearRanMark = (stateDir: string, server: string): Promise<void> =>
  removeDurably(pathOf(stateDir, server));
