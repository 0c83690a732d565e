/** One value per key, for what belongs to the store as a whole. */

import { fixedQuery } from "./fixed-query.js";
import type { Queries } from "./schema.js";

const valueByKey = fixedQuery((queries, key: string) =>
  queries.selectFrom("meta").select("value").where("key", "=", key),
);

export async function readMeta(queries: Queries, key: string): Promise<string | undefined> {
  const { rows } = await valueByKey(queries, key);
  return rows[0]?.value;
}

export async function writeMeta(queries: Queries, key: string, value: string): Promise<void> {
  await queries
    .insertInto("meta")
    .values({ key, value })
    .onConflict(conflict => conflict.column("key").doUpdateSet({ value }))
    .execute();
}
