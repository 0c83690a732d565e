/** What clients ask for in passing, and need an answer to: key pairs, quotas, limits, extensions. */

import { NovaError } from "../nova-error.js";
import { type NovaRequest, ok, type Route } from "../route.js";

export const smallRoutes: readonly Route[] = [
  { method: "GET", path: "/os-keypairs", answer: async () => ok({ keypairs: [] }) },
  { method: "GET", path: "/os-keypairs/:name", answer: noKeypair },
  { method: "GET", path: "/os-quota-sets/:project", answer: quotas },
  { method: "GET", path: "/os-quota-sets/:project/defaults", answer: quotas },
  { method: "GET", path: "/limits", answer: limits },
  { method: "GET", path: "/extensions", answer: async () => ok({ extensions: [] }) },
];

async function noKeypair({ params }: NovaRequest): Promise<never> {
  throw new NovaError(404, `Keypair ${params.name} not found for user`);
}

/** Ferry books hosts, and counts nobody's share: without limit, in Nova's words −1. */
async function quotas({ params, version }: NovaRequest) {
  const names = ["cores", "instances", "key_pairs", "metadata_items", "ram"];
  const groups = ["server_groups", "server_group_members"];
  const files = ["injected_file_content_bytes", "injected_file_path_bytes", "injected_files"];
  const networks = ["fixed_ips", "floating_ips", "security_group_rules", "security_groups"];
  const all = [...names, ...groups, ...(version < 57 ? files : []), ...(version < 36 ? networks : [])];
  return ok({ quota_set: { id: params.project, ...Object.fromEntries(all.map(name => [name, -1])) } });
}

async function limits(_request: NovaRequest) {
  const absolute = [
    "maxTotalInstances",
    "maxTotalCores",
    "maxTotalRAMSize",
    "maxTotalKeypairs",
    "maxServerMeta",
    "maxServerGroups",
    "maxServerGroupMembers",
  ];
  const used = ["totalInstancesUsed", "totalCoresUsed", "totalRAMUsed", "totalServerGroupsUsed"];
  const values = [...absolute.map(name => [name, -1]), ...used.map(name => [name, 0])];
  return ok({ limits: { rate: [], absolute: Object.fromEntries(values) } });
}
