/** What an operator may set about migrations. Durations in milliseconds. */

export interface MigrationSettings {
  /** Verify window after which a migration confirms itself; 0 = never. */
  readonly autoConfirmAfterMs: number;
  /** A guest may be off this long before a migration unwinds, unless its server says otherwise. */
  readonly maxDowntimeMs: number;
  /** A guest is given this long to shut down. */
  readonly shutdownTimeoutMs: number;
  /** Targets that are tried before a migration is given up. */
  readonly maxAttempts: number;
  /** A resize may stay on the host that the server is on. */
  readonly allowResizeToSameHost: boolean;
  /** Migrations that copy at the same time; 0: any number. */
  readonly maxConcurrent: number;
  /** Of those, how many a host takes part in, as source or target; 0: any number. */
  readonly maxConcurrentPerHost: number;
}

export const DEFAULT_SETTINGS: MigrationSettings = {
  autoConfirmAfterMs: 0,
  maxDowntimeMs: 60 * 60_000,
  shutdownTimeoutMs: 60_000,
  maxAttempts: 3,
  allowResizeToSameHost: false,
  maxConcurrent: 0,
  maxConcurrentPerHost: 4,
};
