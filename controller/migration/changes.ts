/** Tells waiting readers that something has changed; what it is they read from the store. */

export class Changes {
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  /** Settles at the next change. Ask before reading, so that no change falls between. */
  next(id: string): Promise<void> {
    const known = this.#waiting.get(id) ?? Promise.withResolvers<void>();
    this.#waiting.set(id, known);
    return known.promise;
  }

  /** Without an id: something may have changed about any of them. */
  notify(id: string | undefined): void {
    for (const one of id === undefined ? [...this.#waiting.keys()] : [id]) {
      this.#waiting.get(one)?.resolve();
      this.#waiting.delete(one);
    }
  }
}
