/** Tells waiting readers that something has changed; what it is they read from the store. */

export class Changes {
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  /** Settles at the next change. Ask before reading, so that no change falls between. */
  next(id: string): Promise<void> {
    const known = this.#waiting.get(id) ?? Promise.withResolvers<void>();
    this.#waiting.set(id, known);
    return known.promise;
  }

  notify(id: string): void {
    this.#waiting.get(id)?.resolve();
    this.#waiting.delete(id);
  }

  /** Something may have changed about any of them. */
  notifyAll(): void {
    for (const id of this.#waiting.keys()) this.notify(id);
  }
}
