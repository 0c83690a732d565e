/**
 * The command lines of what runs beside the tests: `--help` says what there is; what nobody knows, and what is no number
 * where one is meant, is refused with the same text and exit code 64.
 */

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

const EXIT_USAGE = 64;

export function readCommandLine<const Options extends ParseArgsOptionsConfig>(
  help: string,
  options: Options,
) {
  if (process.argv.some(word => word === "--help" || word === "-h")) {
    process.stdout.write(help);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(help, (error as Error).message);
  }
}

/** A whole number from `least` on. */
export function wholeNumber(help: string, name: string, text: string, least = 0): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= least) return number;
  return refuse(help, `--${name} ${text}: a whole number, ${least} or more, is meant`);
}

export function refuse(help: string, problem: string): never {
  process.stderr.write(`${problem}\n\n${help}`);
  process.exit(EXIT_USAGE);
}
