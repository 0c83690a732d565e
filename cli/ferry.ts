/**
 * The whole `ferry` command: one call, an exit code back, no process state touched.
 *
 * Exit codes are those of the fault table; 130 when the user interrupted. With `-o json` a failure is JSON too, on
 * standard error, so that standard output holds nothing but answers.
 */

import { CommanderError } from "commander";
import { asFault, FAULTS } from "../proto/fault.js";
import { toFaultInfo } from "../proto/fault-info.js";
import { renderFailure } from "./output/failure.js";
import { buildProgram } from "./program.js";
import { Runner } from "./runner.js";
import { INTERRUPTED_EXIT, type Shell } from "./shell.js";

const USAGE_EXIT = 2;

/** `words` are the command line's without the program's name. */
export async function ferry(words: readonly string[], shell: Shell): Promise<number> {
  const runner = new Runner(shell);
  const program = buildProgram(runner, shell);
  try {
    await program.parseAsync(words, { from: "user" });
    return runner.exitCode;
  } catch (thrown) {
    // commander has printed its own words already; help and version end this way too.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE_EXIT;
    const fault = asFault(thrown);
    const info = toFaultInfo(fault);
    const json = program.opts<{ output?: string }>().output === "json";
    shell.writeError(json ? `${JSON.stringify({ fault: info })}\n` : renderFailure(info));
    return shell.interrupted.aborted ? INTERRUPTED_EXIT : FAULTS[fault.code].exit;
  }
}
