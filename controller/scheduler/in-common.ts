/**
 * What many hosts have in common, kept once: the guests that a model can run, the traits of its CPU, the aggregates of a
 * rack. Ten thousand copies would say the same and be far apart in memory.
 */

/** Beyond so many it begins anew; hosts keep what they have. */
const MOST = 10_000;

export class InCommon {
  readonly #values = new Map<string, unknown>();

  /** `key` says all that `make` depends on, and which kind of thing it is. */
  one<Value>(key: string, make: () => Value): Value {
    const known = this.#values.get(key);
    if (known !== undefined) return known as Value;
    if (this.#values.size >= MOST) this.#values.clear();
    const value = make();
    this.#values.set(key, value);
    return value;
  }
}
