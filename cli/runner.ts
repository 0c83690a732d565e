/**
 * From commander's callbacks to our commands: each gets its output, its options and its arguments, and answers
 * an exit code when it is not 0.
 */

import type { Command } from "commander";
import { type Format, Output } from "./output/output.js";
import { Session } from "./session.js";
import type { Shell } from "./shell.js";

/** Options of `ferry` itself, accepted anywhere on the line. */
export interface GlobalOptions {
  readonly output: Format;
  readonly config?: string;
  readonly controller?: string;
  readonly timeout?: number;
}

type ExitCode = number | undefined;
// biome-ignore lint/suspicious/noConfusingVoidType: a command that says nothing has succeeded.
type Outcome = Promise<ExitCode | void>;
type Action = (...parameters: unknown[]) => Promise<void>;

export class Runner {
  readonly #shell: Shell;
  #exitCode = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  get exitCode(): number {
    return this.#exitCode;
  }

  /** A command that talks to the controller. */
  online<Options extends object>(
    run: (session: Session, options: Options, ...names: string[]) => Outcome,
  ): Action {
    return this.#action(async (command: Command, names) => {
      const { output, timeout, config, controller } = command.optsWithGlobals<GlobalOptions>();
      const session = new Session(this.#shell, new Output(this.#shell, output), {
        ...(config === undefined ? {} : { config }),
        ...(controller === undefined ? {} : { controller }),
        ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
      });
      try {
        return await run(session, command.opts<Options>(), ...names);
      } finally {
        session.close();
      }
    });
  }

  /** A command that needs nobody. */
  offline<Options extends object>(
    run: (output: Output, options: Options, ...names: string[]) => Outcome,
  ): Action {
    return this.#action(async (command: Command, names) => {
      const { output } = command.optsWithGlobals<GlobalOptions>();
      return await run(new Output(this.#shell, output), command.opts<Options>(), ...names);
    });
  }

  #action(run: (command: Command, names: string[]) => Outcome): Action {
    return async (...parameters) => {
      // commander hands over the arguments, then the options, then the command.
      const command = parameters.at(-1) as Command;
      this.#exitCode = (await run(command, parameters.slice(0, -2) as string[])) ?? 0;
    };
  }
}
