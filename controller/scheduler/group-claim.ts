/**
 * Whether a host may still take a server of its group, asked in the transaction that books it: of two members that were
 * scheduled at the same time only one gets the host. (Nova asks the same late, on the host itself.)
 */

import { fromFaultInfo } from "../../proto/fault-info.js";
import type { Queries } from "../store/schema.js";
import { refusal } from "./filter.js";
import { mayTakeAnother, tooManyTogether } from "./filters/server-group.js";
import { groupView } from "./request.js";

export async function refuseGroupBreach(
  queries: Queries,
  server: { readonly id: string; readonly serverGroup: string },
  host: string,
): Promise<void> {
  if (server.serverGroup === "") return;
  const group = await groupView(queries, server.serverGroup, server.id);
  if (group.policy !== "anti-affinity" || mayTakeAnother(host, group)) return;
  throw fromFaultInfo(refusal({ name: host }, tooManyTogether(host, group)));
}
