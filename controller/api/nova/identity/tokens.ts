/**
 * Tokens that the identity service gives out: what they say, signed. Every controller on the store knows them, also after
 * a restart, and nothing is kept of one until it is given up.
 *
 *     gAAAAA <what it says, base64url> . <HMAC-SHA256, base64url>
 *
 * The signature is made with a key of the store over what the credential file holds of the user as well: neither a copy of the
 * store nor one of the file is enough to make a token, and a new password ends the tokens had by the old one.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { readMeta, writeMeta } from "../../../store/meta.js";
import { isTokenRevoked, revokeToken } from "../../../store/revoked-tokens.js";
import type { Transactions } from "../../../store/store.js";

const saidSchema = z.object({
  user: z.string(),
  project: z.string(),
  /** password | token */
  method: z.string(),
  issuedAtMs: z.number(),
  expiresAtMs: z.number(),
  auditId: z.string(),
});

export type IssuedToken = z.infer<typeof saidSchema>;

const TOKEN_LIFE_MS = 60 * 60_000;
const PREFIX = "gAAAAA";
const LONGEST = 2_048;
const KEY = "token_key";

interface Dependencies {
  readonly store: Transactions;
  readonly nowMs: () => number;
  /** What the credential file holds of a user; undefined: there is none. */
  readonly secretsOf: (user: string) => string | undefined;
}

export class Tokens {
  readonly #deps: Dependencies;
  readonly #key: Buffer;

  private constructor(deps: Dependencies, key: Buffer) {
    this.#deps = deps;
    this.#key = key;
  }

  /** The first controller on a store makes its key. */
  static async open(deps: Dependencies): Promise<Tokens> {
    const fresh = randomBytes(32).toString("base64");
    const key = await deps.store.transaction(async queries => {
      const known = await readMeta(queries, KEY);
      if (known === undefined) await writeMeta(queries, KEY, fresh);
      return known ?? fresh;
    });
    return new Tokens(deps, Buffer.from(key, "base64"));
  }

  /** A token that was had for another one does not live longer than it. */
  issue(
    user: string,
    project: string,
    { method, until = Number.POSITIVE_INFINITY }: { method: string; until?: number },
  ): { token: string; issued: IssuedToken } {
    const issuedAtMs = this.#deps.nowMs();
    const issued = {
      user,
      project,
      method,
      issuedAtMs,
      expiresAtMs: Math.min(issuedAtMs + TOKEN_LIFE_MS, until),
      auditId: randomBytes(16).toString("base64url"),
    };
    const said = Buffer.from(JSON.stringify(issued)).toString("base64url");
    return { token: `${PREFIX}${said}.${this.#sign(said, user).toString("base64url")}`, issued };
  }

  async find(token: string): Promise<IssuedToken | undefined> {
    const issued = this.#read(token);
    if (issued === undefined || issued.expiresAtMs <= this.#deps.nowMs()) return undefined;
    return (await isTokenRevoked(this.#deps.store.queries, issued.auditId)) ? undefined : issued;
  }

  async revoke({ auditId, expiresAtMs }: IssuedToken): Promise<void> {
    const { store, nowMs } = this.#deps;
    await store.transaction(queries => revokeToken(queries, { auditId, expiresAtMs }, nowMs()));
  }

  /** Undefined: we did not say that, or the user's secrets have changed since. */
  #read(token: string): IssuedToken | undefined {
    if (!token.startsWith(PREFIX) || token.length > LONGEST) return undefined;
    const [said = "", signature = "", ...more] = token.slice(PREFIX.length).split(".");
    const issued = saidSchema.safeParse(parsed(said)).data;
    if (issued === undefined || more.length > 0) return undefined;
    const [given, right] = [Buffer.from(signature, "base64url"), this.#sign(said, issued.user)];
    return given.length === right.length && timingSafeEqual(given, right) ? issued : undefined;
  }

  #sign(said: string, user: string): Buffer {
    const secrets = this.#deps.secretsOf(user) ?? "";
    return createHmac("sha256", this.#key)
      .update(JSON.stringify([said, secrets]))
      .digest();
  }
}

function parsed(said: string): unknown {
  try {
    return JSON.parse(Buffer.from(said, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
