/** The flavor table. */

import { Fault } from "../../proto/fault.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { isUniqueViolation } from "./dialect.js";
import type { Queries } from "./schema.js";

export async function insertFlavor(queries: Queries, flavor: Flavor): Promise<void> {
  const body = JSON.stringify(Flavor.toJSON(flavor));
  try {
    await queries.insertInto("flavor").values({ id: flavor.id, name: flavor.name, body }).execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fault("already-exists", `Flavor with name ${flavor.name} already exists.`);
  }
}

export async function listFlavors(queries: Queries): Promise<Flavor[]> {
  const rows = await queries.selectFrom("flavor").select("body").orderBy("name").execute();
  return rows.map(row => flavorOf(row.body));
}

/** By name or id. */
export async function findFlavor(queries: Queries, nameOrId: string): Promise<Flavor> {
  const row = await queries
    .selectFrom("flavor")
    .select("body")
    .where(where => where.or([where("name", "=", nameOrId), where("id", "=", nameOrId)]))
    .executeTakeFirst();
  if (row === undefined) throw new Fault("not-found", `Flavor ${nameOrId} could not be found.`);
  return flavorOf(row.body);
}

export async function updateFlavor(queries: Queries, flavor: Flavor): Promise<void> {
  const body = JSON.stringify(Flavor.toJSON(flavor));
  await queries.updateTable("flavor").set({ body }).where("id", "=", flavor.id).execute();
}

export async function deleteFlavor(queries: Queries, id: string): Promise<void> {
  await queries.deleteFrom("flavor").where("id", "=", id).execute();
}

const flavorOf = (body: string): Flavor => Flavor.fromJSON(JSON.parse(body));
