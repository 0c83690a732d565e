/** What an incoming server has booked of this host until it is defined here or given up. */
export interface Claim {
  readonly memoryMib: number;
  readonly vcpus: number;
  /** Bytes that will be written to the image folder. */
  readonly bytes: number;
}

/** What other claims leave of an amount; never below zero. */
export const remaining = (
  total: number,
  reserved: number,
  claims: readonly Claim[],
  amount: keyof Claim,
): number => Math.max(0, total - reserved - claims.reduce((sum, claim) => sum + claim[amount], 0));
