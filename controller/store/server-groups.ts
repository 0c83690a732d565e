/** The server group table. Which servers are in a group stands in the servers' own rows. */

import { Fault } from "../../proto/fault.js";
import type { ServerGroup } from "../../proto/gen/ferry/v1/placement.js";
import type { Queries, ServerGroupTable } from "./schema.js";

export async function listServerGroups(queries: Queries): Promise<ServerGroup[]> {
  const rows = await queries.selectFrom("server_group").selectAll().orderBy("name").orderBy("id").execute();
  const members = await queries
    .selectFrom("server")
    .select(["id", "server_group"])
    .where("server_group", "<>", "")
    .orderBy("id")
    .execute();
  const byGroup = Map.groupBy(members, member => member.server_group);
  return rows.map(row =>
    groupOf(
      row,
      (byGroup.get(row.id) ?? []).map(({ id }) => id),
    ),
  );
}

/** By id, or by a name that only one has; refused when there is none. */
export async function findServerGroup(queries: Queries, nameOrId: string): Promise<ServerGroup> {
  const rows = await queries
    .selectFrom("server_group")
    .selectAll()
    .where(where => where.or([where("id", "=", nameOrId), where("name", "=", nameOrId)]))
    .execute();
  const [row, second] = rows;
  if (row === undefined) throw new Fault("not-found", `Instance group ${nameOrId} could not be found.`);
  if (second !== undefined) {
    throw new Fault("invalid-argument", `more than one server group is named ${nameOrId}`, {
      fix: "give its id; ferry group list shows them",
    });
  }
  return groupOf(row, await membersOf(queries, row.id));
}

export async function insertServerGroup(
  queries: Queries,
  group: Omit<ServerGroup, "members">,
): Promise<void> {
  const { id, name, policy, maxServerPerHost, owner, createdAtMs } = group;
  const row = {
    id,
    name,
    policy,
    max_server_per_host: maxServerPerHost,
    owner,
    created_at_ms: createdAtMs,
  };
  await queries.insertInto("server_group").values(row).execute();
}

export async function deleteServerGroup(queries: Queries, id: string): Promise<void> {
  await queries.updateTable("server").set({ server_group: "" }).where("server_group", "=", id).execute();
  await queries.deleteFrom("server_group").where("id", "=", id).execute();
}

async function membersOf(queries: Queries, group: string): Promise<string[]> {
  const rows = await queries
    .selectFrom("server")
    .select("id")
    .where("server_group", "=", group)
    .orderBy("id")
    .execute();
  return rows.map(({ id }) => id);
}

const groupOf = (row: ServerGroupTable, members: string[]): ServerGroup => ({
  id: row.id,
  name: row.name,
  policy: row.policy,
  maxServerPerHost: row.max_server_per_host,
  members,
  owner: row.owner,
  createdAtMs: row.created_at_ms,
});
