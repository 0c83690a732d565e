#!/usr/bin/env node
/** `npm run bench`: the process around the benchmarks. One command each. */

import { Command } from "commander";
import { asFault, FAULTS, Fault } from "../proto/fault.js";
import { addCopyCommand } from "./copy/command.js";
import { addRestCommand } from "./rest/command.js";
import { addScheduleCommand } from "./schedule/command.js";

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupt.abort(new Fault("cancelled", `ended by ${signal}`)));
}

const program = new Command("bench")
  .description("Benchmarks against the tools that people use today.")
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : FAULTS["invalid-argument"].exit));
addCopyCommand(program, interrupt.signal);
addScheduleCommand(program);
addRestCommand(program, interrupt.signal);

try {
  await program.parseAsync();
} catch (thrown) {
  const fault = asFault(thrown);
  const { have, need, fix } = fault.detail;
  const detail = Object.entries({ have, need, fix }).filter(([, text]) => text !== undefined);
  const lines = [`bench: ${fault.message}`, ...detail.map(([key, text]) => `  ${key}: ${text}`)];
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = interrupt.signal.aborted ? 130 : FAULTS[fault.code].exit;
}
