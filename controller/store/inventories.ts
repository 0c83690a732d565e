/**
 * The inventory table: what a host offers of each resource class. Total and reserved are in units of the class; what may
 * be booked is `(total - reserved) × ratio`, rounded down.
 */

import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import { usageByHost } from "./allocations.js";
import { fixedQuery } from "./fixed-query.js";
import type { InventoryTable, Queries } from "./schema.js";

/** What is offered and what of it is booked, by host; of all hosts when none is named. */
export async function bookedInventories(
  queries: Queries,
  hosts?: readonly string[],
): Promise<Map<string, Inventory[]>> {
  let offers = queries.selectFrom("inventory").selectAll();
  if (hosts !== undefined) offers = offers.where("host", "in", [...hosts]);
  const used = await usageByHost(queries, hosts);
  const booked = new Map<string, Inventory[]>();
  for (const row of await offers.execute()) {
    const list = booked.get(row.host) ?? [];
    booked.set(row.host, list);
    list.push({
      resourceClass: row.resource_class,
      total: row.total,
      reserved: row.reserved,
      allocationRatio: row.allocation_ratio,
      used: used.get(row.host)?.get(row.resource_class) ?? 0,
    });
  }
  return booked;
}

const inventoriesOf = fixedQuery((queries, host: string) =>
  queries.selectFrom("inventory").selectAll().where("host", "=", host),
);

/** What the host reports now, in place of what it reported before; false when that is the same. */
export async function replaceInventories(
  queries: Queries,
  host: string,
  inventories: readonly Inventory[],
): Promise<boolean> {
  const { rows: known } = await inventoriesOf(queries, host);
  const rows = inventories.map(({ resourceClass, total, reserved, allocationRatio }) => ({
    host,
    resource_class: resourceClass,
    total,
    reserved,
    allocation_ratio: allocationRatio,
  }));
  if (textOf(known) === textOf(rows)) return false;
  await queries.deleteFrom("inventory").where("host", "=", host).execute();
  if (rows.length > 0) await queries.insertInto("inventory").values(rows).execute();
  return true;
}

const textOf = (rows: readonly InventoryTable[]): string =>
  rows
    .map(row => [row.resource_class, row.total, row.reserved, row.allocation_ratio].join(" "))
    .sort()
    .join("\n");
