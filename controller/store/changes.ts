/** Whether anything was written to a store since somebody looked. For one who looks. */

export class Changes {
  #isChanged = true;
  #changed = Promise.withResolvers<void>();

  /** Something was written. */
  note(): void {
    this.#isChanged = true;
    this.#changed.resolve();
  }

  /** Resolves once something was written since the last time that it did, or when the signal aborts. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#isChanged) {
      this.#changed = Promise.withResolvers();
      const over = () => this.#changed.resolve();
      signal.addEventListener("abort", over, { once: true });
      await this.#changed.promise;
      signal.removeEventListener("abort", over);
    }
    this.#isChanged = false;
  }
}
