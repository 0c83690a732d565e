/**
 * take-domain: an existing domain comes under management (adopt). Refused as a whole when anything about it could
 * not be moved and put back exactly; otherwise journalled, allowed to the hook, and marked, in this order, so that the
 * running guest is never without an allowance.
 */

import { Fault } from "../../proto/fault.js";
import type { TakeDomain } from "../../proto/gen/ferry/v1/agent.js";
import { Server } from "../../proto/gen/ferry/v1/model.js";
import { ferryMetadataToSet, formatIncarnation, type Incarnation } from "../domain/ferry-metadata.js";
import { interfacesOf } from "../inspect-domain.js";
import { declaredRoles, diskOf, readOnlyDrivesOf, surveyDomain } from "../survey-domain.js";
import { bookDefined } from "./book-hardware.js";
import { result, type Verb } from "./verb.js";

export const takeDomain: Verb<TakeDomain> = async (request, call, world) => {
  world.requireHook();
  const summary = await world.hypervisor.findDomain(call.serverId);
  if (summary === undefined) throw new Fault("not-found", `no domain ${call.serverId} on this host`);
  const rules = {
    declared: declaredRoles(request.swapDisks, request.ephemeralDisks),
    readOnlyDrives: readOnlyDrivesOf(request.readOnlyDrives),
  };
  const survey = await surveyDomain(summary, rules, world);
  if (survey.refusals.length > 0) return result({ refusals: [...survey.refusals] });

  const disks = survey.disks.map(diskOf);
  const incarnation: Incarnation = {
    server: call.serverId,
    migration: "home",
    side: "source",
    epoch: call.epoch,
  };
  const id = formatIncarnation(incarnation);
  world.guests.update(call.serverId, {
    name: summary.name,
    role: "active",
    incarnation: id,
    migrationId: "",
    disks,
  });
  await bookDefined(survey.inactiveXml, id, call, world);
  await world.fence.guestFiles.allow(call.serverId, id);
  await world.hypervisor.setMetadata(call.serverId, ferryMetadataToSet(incarnation));
  const { domain } = survey;
  const flavor = { vcpus: domain.vcpus, ramMib: Math.ceil(domain.memoryKib / 1024) };
  return result({
    server: Server.fromPartial({
      id: call.serverId,
      name: summary.name,
      disks,
      flavor,
      interfaces: interfacesOf(domain),
    }),
  });
};
