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
}

export const DEFAULT_SETTINGS: MigrationSettings = {
  autoConfirmAfterMs: 0,
  maxDowntimeMs: 60 * 60_000,
  shutdownTimeoutMs: 60_000,
  maxAttempts: 3,
  allowResizeToSameHost: false,
};
