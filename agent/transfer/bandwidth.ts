/**
 * How fast disks may leave this host: one limit for all of it, one for each migration. Both count from the next leaf on,
 * also for what is under way, and connections that share a limit share it evenly.
 */

import type { Engine, TokenBucket } from "../os/engine.js";

export class Bandwidth {
  readonly #engine: Engine;
  readonly #host: TokenBucket;
  readonly #migrations = new Map<string, TokenBucket>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#host = new engine.TokenBucket();
  }

  /** Bytes per second; 0 is no limit. */
  limitHost(bytesPerSecond: number): void {
    this.#host.setRate(bytesPerSecond);
  }

  /** The same for one migration, before or while it copies. */
  limitMigration(migrationId: string, bytesPerSecond: number): void {
    this.#bucketOf(migrationId).setRate(bytesPerSecond);
  }

  /** What a transfer of this migration has to respect. */
  limitsOf(migrationId: string): readonly TokenBucket[] {
    return [this.#bucketOf(migrationId), this.#host];
  }

  /** A migration that is over; transfers of it that still run go on with the limit that they have. */
  forget(migrationId: string): void {
    this.#migrations.delete(migrationId);
  }

  #bucketOf(migrationId: string): TokenBucket {
    const known = this.#migrations.get(migrationId) ?? new this.#engine.TokenBucket();
    this.#migrations.set(migrationId, known);
    return known;
  }
}
