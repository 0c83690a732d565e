/**
 * A migration as it happens: the lines of its story, and below them, on a terminal, one line of progress that is
 * redrawn in place.
 */

import type { WatchMigrationResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import type { Shell } from "../shell.js";
import { printable } from "./printable.js";
import { plainIntervalMs, renderPlainProgress, renderProgress } from "./progress.js";

/** Back to the first column and erase the line. */
const ERASE = "\r\u001b[2K";

export class StoryDisplay {
  readonly #shell: Shell;
  #drawn = false;
  #beganMs = 0;
  #quietUntilMs = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  show({ migration, event, atMs }: WatchMigrationResponse): void {
    if (event !== "") this.line(event, atMs);
    if (migration === undefined) return;
    if (this.#shell.isTerminal) this.#redraw(renderProgress(migration, this.#shell.width - 1));
    // After the line of a step that is done, its progress is old.
    else if (event === "") this.#repeat(migration);
  }

  /** One line of the story, or about it. */
  line(text: string, atMs = this.#shell.now().getTime()): void {
    this.clear();
    this.#shell.write(`${new Date(atMs).toISOString().slice(11, 19)}Z  ${printable(text)}\n`);
  }

  /** Leaves the terminal as an ordinary line of output wants it. */
  clear(): void {
    if (this.#drawn) this.#shell.write(ERASE);
    this.#drawn = false;
  }

  #redraw(progress: string): void {
    this.clear();
    if (progress === "") return;
    this.#shell.write(progress);
    this.#drawn = true;
  }

  #repeat(migration: Migration): void {
    const text = renderPlainProgress(migration);
    const nowMs = this.#shell.now().getTime();
    if (text === "" || nowMs < this.#quietUntilMs) return;
    if (this.#beganMs === 0) this.#beganMs = nowMs;
    this.#quietUntilMs = nowMs + plainIntervalMs(nowMs - this.#beganMs);
    this.line(text, nowMs);
  }
}
