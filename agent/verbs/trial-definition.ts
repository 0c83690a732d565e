/**
 * Lets libvirt itself judge a domain before it is needed: defined under another name and uuid, then undefined.
 *
 * What only `define` can tell (firmware that is not installed, devices this QEMU lacks, a CPU element it cannot
 * parse) is so told while the guest still runs. The trial carries Ferry's mark, so the hook refuses to start it.
 */

import { Fault } from "../../proto/fault.js";
import { childOf, parseXml, serializeXml } from "../domain/xml-document.js";
import type { World } from "./verb.js";

export const TRIAL_PREFIX = "ferry-trial-";

/** libvirt's words against the domain; empty when it accepts it. */
export async function trialDefinition(domainXml: string, uuid: string, world: World): Promise<string> {
  const root = parseXml(domainXml, "domain");
  const name = childOf(root, "name");
  const id = childOf(root, "uuid");
  if (name === undefined || id === undefined) return "the domain has no name or uuid";
  name.textContent = `${TRIAL_PREFIX}${uuid}`;
  id.textContent = uuid;
  try {
    await world.hypervisor.define(serializeXml(root));
  } catch (error) {
    if (error instanceof Fault && !error.isUnknown) return error.message;
    throw error;
  }
  await undefineTrial(uuid, world);
  return "";
}

/** Removes trials that were left behind when the agent died, or libvirtd did, between the two calls. */
export async function removeTrials(world: World): Promise<void> {
  const domains = await world.hypervisor.listDomains();
  for (const trial of domains.filter(({ name, uuid }) => name === `${TRIAL_PREFIX}${uuid}`)) {
    await undefineTrial(trial.uuid, world);
  }
}

/** Whoever cleans up may have been here before. */
async function undefineTrial(uuid: string, { hypervisor }: World): Promise<void> {
  await hypervisor.undefine(uuid).catch((error: unknown) => {
    if (!(error instanceof Fault && error.code === "not-found")) throw error;
  });
}
