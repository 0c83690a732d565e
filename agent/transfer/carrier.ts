/**
 * How a source gets to a target's data port when not straight to it. TLS, the frames and their token are the same in all
 * of them: a carrier moves bytes that it can neither read nor change.
 */

export interface Carrier {
  /** Where the engine has to dial to be connected with that port; good for one connection. */
  reach(to: Way, timeoutMs: number, signal: AbortSignal): Promise<Reached>;
}

export interface Way {
  readonly address: string;
  readonly port: number;
  readonly expectHost: string;
}

export interface Reached {
  readonly address: string;
  readonly port: number;
  /** Lets go of a way that was not taken; one that was ends with its connection. */
  release(): void;
}
