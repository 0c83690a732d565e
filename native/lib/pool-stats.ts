/** How busy an addon's threads are: `queued` above zero for long means calls that do not come back. */
export interface PoolStats {
  readonly fast: LaneStats;
  readonly slow: LaneStats;
}

export interface LaneStats {
  readonly threads: number;
  readonly idle: number;
  readonly queued: number;
}
