/** The bookings as people read them: one line per consumer and host, with the server's name. */

import type { Allocation } from "../../proto/gen/ferry/v1/placement.js";
import { type AllocationRecord, listAllocations } from "../store/allocations.js";
import { listMigrations } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { listServers } from "../store/servers.js";

/** Of one host, or of all when it is empty. */
export async function listBookings(queries: Queries, host: string): Promise<Allocation[]> {
  const records = (await listAllocations(queries)).filter(record => host === "" || record.host === host);
  const names = new Map((await listServers(queries)).map(({ id, name }) => [id, name]));
  for (const { id, serverName } of await listMigrations(queries, { live: true })) names.set(id, serverName);
  return [...groupByConsumer(records)].map(([, [first, ...others]]) => ({
    consumer: first.consumer,
    consumerKind: first.consumerKind,
    serverName: names.get(first.consumer) ?? "",
    host: first.host,
    resources: Object.fromEntries([first, ...others].map(record => [record.resourceClass, record.amount])),
  }));
}

type OneConsumer = [AllocationRecord, ...AllocationRecord[]];

/** By consumer and host; never empty. */
function groupByConsumer(records: readonly AllocationRecord[]): Map<string, OneConsumer> {
  const groups = new Map<string, OneConsumer>();
  for (const record of records) {
    const key = `${record.consumer} ${record.host}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return groups;
}
