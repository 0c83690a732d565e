/**
 * Tokens that the identity service gave out. They live in memory: a restarted controller knows none, and its clients
 * log in again by themselves. Only their hashes are kept, so that a memory dump lets nobody in.
 */

import { createHash, randomBytes } from "node:crypto";

export interface IssuedToken {
  readonly user: string;
  readonly project: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** password | token */
  readonly method: string;
  readonly auditId: string;
}

export const TOKEN_LIFE_MS = 60 * 60_000;
const MOST_TOKENS = 100_000;

export class Tokens {
  readonly #nowMs: () => number;
  readonly #issued = new Map<string, IssuedToken>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A token that was had for another one does not live longer than it. */
  issue(
    user: string,
    project: string,
    { method, until = Number.POSITIVE_INFINITY }: { method: string; until?: number },
  ): { token: string; issued: IssuedToken } {
    const nowMs = this.#nowMs();
    this.#forgetExpired(nowMs);
    const token = `gAAAAA${randomBytes(48).toString("base64url")}`;
    const issued = {
      user,
      project,
      method,
      issuedAtMs: nowMs,
      expiresAtMs: Math.min(nowMs + TOKEN_LIFE_MS, until),
      auditId: randomBytes(16).toString("base64url"),
    };
    this.#issued.set(digestOf(token), issued);
    return { token, issued };
  }

  find(token: string): IssuedToken | undefined {
    const issued = this.#issued.get(digestOf(token));
    return issued !== undefined && issued.expiresAtMs > this.#nowMs() ? issued : undefined;
  }

  revoke(token: string): boolean {
    return this.#issued.delete(digestOf(token));
  }

  /** The map is in the order of issue, and so nearly in that of expiry. */
  #forgetExpired(nowMs: number): void {
    for (const [digest, { expiresAtMs }] of this.#issued) {
      if (expiresAtMs > nowMs && this.#issued.size < MOST_TOKENS) return;
      this.#issued.delete(digest);
    }
  }
}

const digestOf = (token: string): string => createHash("sha256").update(token).digest("base64");
