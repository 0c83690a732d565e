/** A terminal that remembers what was written to it, for commands run in the test's own process. */

import { ferry } from "../../../cli/ferry.js";
import type { Shell } from "../../../cli/shell.js";

export interface FakeShellOptions {
  readonly isTerminal?: boolean;
  readonly width?: number;
  /** Answers to questions, in order; nobody answers when they have run out. */
  readonly answers?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly home?: string;
  readonly interrupted?: AbortSignal;
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  readonly questions: readonly string[];
}

/** For what asks nobody and shows nothing. */
export const SILENT_SHELL: Shell = {
  write: () => undefined,
  writeError: () => undefined,
  isTerminal: false,
  width: 100,
  ask: async () => undefined,
  environment: {},
  home: "/nonexistent",
  now: () => new Date(0),
  interrupted: new AbortController().signal,
};

/** Runs `ferry` with these words and answers what became of it. */
export async function run(words: readonly string[], options: FakeShellOptions = {}): Promise<Ran> {
  let [out, error] = ["", ""];
  const questions: string[] = [];
  const answers = [...(options.answers ?? [])];
  const shell: Shell = {
    write: text => {
      out += text;
    },
    writeError: text => {
      error += text;
    },
    isTerminal: options.isTerminal ?? false,
    width: options.width ?? 80,
    ask: async question => {
      questions.push(question);
      return answers.shift();
    },
    environment: options.environment ?? {},
    home: options.home ?? "/nonexistent",
    now: () => new Date(),
    interrupted: options.interrupted ?? new AbortController().signal,
  };
  const code = await ferry(words, shell);
  return { code, out, error, questions };
}
