/** What a command may touch of the machine it runs on; `main` makes the real one, tests their own. */

/** What shells expect of a command that ended by Ctrl-C. */
export const INTERRUPTED_EXIT = 130;

export interface Shell {
  /** To standard output, as is. */
  write(text: string): void;
  /** To standard error, as is. */
  writeError(text: string): void;
  /** Standard output is a terminal: lines may be redrawn. */
  readonly isTerminal: boolean;
  /** Columns of the terminal. */
  readonly width: number;
  /** Asks and answers the typed line; undefined when there is nobody to ask. */
  ask(question: string): Promise<string | undefined>;
  /** Environment variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  readonly now: () => Date;
  /** Aborts when the user presses Ctrl-C. */
  readonly interrupted: AbortSignal;
}
