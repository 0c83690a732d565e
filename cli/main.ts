#!/usr/bin/env node
/** `ferry`: the process around the command. The only file of cli/ that touches `process`. */

import { homedir } from "node:os";
import { createInterface } from "node:readline/promises";
import { Fault } from "../proto/fault.js";
import { ferry } from "./ferry.js";

const interrupt = new AbortController();
const onInterrupt = () =>
  interrupt.abort(new Fault("cancelled", "interrupted; what was asked for may still be done"));
process.once("SIGINT", onInterrupt);

async function ask(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  lines.once("SIGINT", onInterrupt);
  try {
    return await lines.question(question, { signal: interrupt.signal });
  } catch {
    // Ctrl-C at the question, or the end of the input: nobody has answered.
    return undefined;
  } finally {
    lines.close();
  }
}

// A reader that has seen enough (`ferry server list | head`) is no failure.
process.stdout.on("error", () => process.exit(0));

process.exitCode = await ferry(process.argv.slice(2), {
  write: text => void process.stdout.write(text),
  writeError: text => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY === true,
  // Changes with the window; 0 where the terminal does not know.
  get width() {
    return process.stdout.columns || 80;
  },
  ask,
  environment: process.env,
  home: homedir(),
  now: () => new Date(),
  interrupted: interrupt.signal,
});
