/** Tokens that were given up before they expired; forgotten when they would have. */

import type { Queries } from "./schema.js";

export async function revokeToken(
  queries: Queries,
  { auditId, expiresAtMs }: { readonly auditId: string; readonly expiresAtMs: number },
  nowMs: number,
): Promise<void> {
  await queries.deleteFrom("revoked_token").where("expires_at_ms", "<=", nowMs).execute();
  await queries
    .insertInto("revoked_token")
    .values({ audit_id: auditId, expires_at_ms: expiresAtMs })
    .onConflict(conflict => conflict.doNothing())
    .execute();
}

export async function isTokenRevoked(queries: Queries, auditId: string): Promise<boolean> {
  const row = await queries
    .selectFrom("revoked_token")
    .select("audit_id")
    .where("audit_id", "=", auditId)
    .executeTakeFirst();
  return row !== undefined;
}
