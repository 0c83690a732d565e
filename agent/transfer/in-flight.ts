/** A bounded number of tasks at once; the first failure is thrown at the next call, nothing is left unobserved. */
export class InFlight {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly thrown: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a free place, then starts the task without waiting for its end. */
  async start(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#throwFailure();
    const running = this.#guard(task).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all and throws the first failure. */
  async drain(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** Waits for all, however they ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #guard(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (thrown) {
      this.#failure ??= { thrown };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}
