/** One value per key, for what belongs to the store as a whole. */

import type { Queries } from "./schema.js";

export async function readMeta(queries: Queries, key: string): Promise<string | undefined> {
  const row = await queries.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst();
  return row?.value;
}

export async function writeMeta(queries: Queries, key: string, value: string): Promise<void> {
  await queries
    .insertInto("meta")
    .values({ key, value })
    .onConflict(conflict => conflict.column("key").doUpdateSet({ value }))
    .execute();
}
