/** The inventory table: what a host offers of each resource class. */

import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Queries } from "./schema.js";

/** Total and reserved are in units of the class; what may be booked is `(total - reserved) × ratio`, rounded down. */
export interface InventoryRecord {
  readonly resourceClass: string;
  readonly total: number;
  readonly reserved: number;
  readonly allocationRatio: number;
}

export async function listInventories(queries: Queries, host: string): Promise<InventoryRecord[]> {
  const rows = await queries.selectFrom("inventory").selectAll().where("host", "=", host).execute();
  return rows.map(row => ({
    resourceClass: row.resource_class,
    total: row.total,
    reserved: row.reserved,
    allocationRatio: row.allocation_ratio,
  }));
}

/** What the host reports now, in place of what it reported before. */
export async function replaceInventories(
  queries: Queries,
  host: string,
  inventories: readonly Inventory[],
): Promise<void> {
  await queries.deleteFrom("inventory").where("host", "=", host).execute();
  if (inventories.length === 0) return;
  const rows = inventories.map(({ resourceClass, total, reserved, allocationRatio }) => ({
    host,
    resource_class: resourceClass,
    total,
    reserved,
    allocation_ratio: allocationRatio,
  }));
  await queries.insertInto("inventory").values(rows).execute();
}
