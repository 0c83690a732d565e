/**
 * A host that the controller does not trust (SAFETY R14, R21): STATE_DIR/quarantine holds the reason, and while it is there
 * the hook refuses every start of a managed server that the controller has not asked for.
 *
 * The journal says so first and stops saying so last, so the file can be written again after it was lost.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Journal } from "../journal/journal.js";
import { removeDurably, writeDurably } from "./durable-file.js";

const META = "quarantine";

export class Quarantine {
  readonly #journal: Journal;
  readonly #path: string;

  constructor(journal: Journal, stateDir: string) {
    this.#journal = journal;
    this.#path = join(stateDir, "quarantine");
  }

  /** Empty: this host is trusted. */
  get reason(): string {
    return this.#journal.meta(META) ?? "";
  }

  /** What the controller says; answers whether that is new. */
  async set(reason: string): Promise<boolean> {
    const line = reason.replace(/\s+/g, " ").trim();
    const isNew = line !== this.reason;
    if (line === "") {
      if (isNew) await removeDurably(this.#path);
      if (isNew) this.#journal.write(() => this.#journal.setMeta(META, ""));
      return isNew;
    }
    if (isNew) this.#journal.write(() => this.#journal.setMeta(META, line));
    await this.#write(line);
    return isNew;
  }

  /** Before the agent serves. */
  async rebuild(): Promise<void> {
    if (this.reason !== "") await this.#write(this.reason);
  }

  async #write(line: string): Promise<void> {
    const present = await readFile(this.#path, "utf8").catch(() => "");
    if (present !== `${line}\n`) await writeDurably(this.#path, `${line}\n`, { mode: 0o644 });
  }
}
