/**
 * Secrets at rest: `scrypt$N$r$p$salt$hash`, salt and hash in base64. Made by `ferry credential`, checked by the
 * controller's REST API. Both sides are compared in constant time.
 */

import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

export const SECRET_PATTERN = /^scrypt\$\d{4,7}\$\d{1,2}\$\d{1,2}\$[A-Za-z0-9+/=]{16,}\$[A-Za-z0-9+/=]{40,}$/;

const COST = { N: 32_768, r: 8, p: 1 };
const HASH_BYTES = 32;
const SALT_BYTES = 16;
/** For costs up to four times ours. */
const MOST_MEMORY_BYTES = 160 * 1024 * 1024;

export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(secret, salt, HASH_BYTES, COST);
  return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

/** False as well for a hash that is none. */
export async function verifySecret(secret: string, stored: string): Promise<boolean> {
  const [kind, N, r, p, salt = "", hash = ""] = stored.split("$");
  const expected = Buffer.from(hash, "base64");
  if (kind !== "scrypt" || expected.length < HASH_BYTES) return false;
  try {
    const cost = { N: Number(N), r: Number(r), p: Number(p) };
    const given = await derive(secret, Buffer.from(salt, "base64"), expected.length, cost);
    return timingSafeEqual(given, expected);
  } catch {
    return false;
  }
}

function derive(secret: string, salt: Buffer, length: number, cost: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, length, { ...cost, maxmem: MOST_MEMORY_BYTES }, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}
