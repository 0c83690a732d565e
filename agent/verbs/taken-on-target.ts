/** What stands in a server's way on its target: the server itself in another role, its uuid, its name, its paths. */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import type { TargetFacts } from "../constraint/target-facts.js";
import { readDomain } from "../domain/domain-xml.js";
import { logPaths } from "./log-files.js";
import { isSameHost } from "./same-host.js";
import type { TargetShape } from "./target-shape.js";
import type { Call, World } from "./verb.js";

/** What this host has to do with the server already; empty: nothing, this very migration, or it is resized here. */
export function occupiedBy(sourceHost: string, { serverId, migrationId }: Call, world: World): string {
  const guest = world.guests.find(serverId);
  if (isSameHost(sourceHost, world) && guest?.role === "active" && guest.migrationId === "") return "";
  if (guest === undefined || guest.role === "none" || guest.role === "retired") return "";
  if (guest.role === "incoming" && guest.migrationId === migrationId) return "";
  return `${guest.role} (migration ${guest.migrationId || "none"})`;
}

/**
 * By libvirt's domains. On its own host the server has its uuid and its name itself, as long as it is the incarnation
 * that is resized. `sourceXml` is the domain as the source has it.
 */
export async function takenIdentity(
  sourceHost: string,
  sourceXml: string,
  { serverId }: Call,
  { hypervisor, fence, config }: World,
): Promise<Pick<TargetFacts, "uuidTaken" | "nameTakenBy">> {
  const [own, namesake] = [
    await hypervisor.findDomain(serverId),
    await hypervisor.findDomainByName(readDomain(sourceXml).name),
  ];
  const marked = own && fence.incarnationOf(await hypervisor.domainXml(serverId, "inactive"));
  const isSource = isSameHost(sourceHost, { config }) && marked === fence.incarnationOf(sourceXml);
  if (own === undefined || !isSource) return { uuidTaken: own !== undefined, nameTakenBy: namesake?.uuid };
  return { uuidTaken: false, nameTakenBy: namesake?.uuid === serverId ? undefined : namesake?.uuid };
}

/** QEMU would write over somebody else's log, and an unwinding would remove it. Copied files were placed with care. */
export async function takenPaths(
  sourceHost: string,
  { files }: TargetShape,
  domainXml: string,
  world: World,
): Promise<FaultInfo[]> {
  // The server's own logs are set aside with its disks.
  const logs = isSameHost(sourceHost, world) ? [] : logPaths(domainXml, world);
  const paths = [
    ...files.filter(({ mode }) => mode === "added").map(({ path }) => ({ what: "the added disk", path })),
    ...logs.map(path => ({ what: "the guest's log", path })),
  ];
  const taken = await Promise.all(paths.map(({ path }) => world.exists(path)));
  return paths
    .filter((_, index) => taken[index])
    .map(({ what, path }) =>
      refusal("already-exists", `${what} ${path} exists on the target already`, {
        fix: `look at it on the target and move it away if it is not needed: ${path}`,
      }),
    );
}
