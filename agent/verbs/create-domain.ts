/**
 * create-domain: a new server on this host, from a flavor and an image. Every file is journalled before it is made,
 * so that what an interrupted creation left is found again, and the domain is defined last.
 *
 *   <first image folder>/<name>/disk  disk.eph0  disk.swap  disk.config  console.log
 */

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { GuestHardware } from "../../proto/fit/guest-hardware.js";
import { readGuestHardware } from "../../proto/fit/read-guest-hardware.js";
import type { CreateDomain } from "../../proto/gen/ferry/v1/agent.js";
import type { Flavor, NetworkInterface } from "../../proto/gen/ferry/v1/model.js";
import { Server } from "../../proto/gen/ferry/v1/model.js";
import { createConfigDrive } from "../disk/create-config-drive.js";
import { createRoot } from "../disk/create-root.js";
import { createEphemeralDisk, ephemeralLabel } from "../disk/ephemeral.js";
import { imageFormat, walkImageChain } from "../disk/image-rules.js";
import { createSwapDisk, swapSpaceOf } from "../disk/swap.js";
import { createDomainXml, type NewDisk, type NewInterface } from "../domain/create-domain-xml.js";
import { parseDomain } from "../domain/domain-xml.js";
import { formatIncarnation, type Incarnation } from "../domain/ferry-metadata.js";
import { writeHardware } from "../domain/write-hardware.js";
import { serializeXml } from "../domain/xml-document.js";
import { interfacesOf } from "../inspect-domain.js";
import { diskOf, surveyDomain } from "../survey-domain.js";
import { bookNew, type NewBooking } from "./book-hardware.js";
import { makeFolder } from "./incoming-artifacts.js";
import { makeOnce } from "./make-once.js";
import { newMachine } from "./new-machine.js";
import { type Call, result, type Verb, type World } from "./verb.js";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const createDomain: Verb<CreateDomain> = async (request, call, world) => {
  const { flavor, name } = request;
  if (flavor === undefined) throw new Fault("invalid-argument", "a server needs a flavor");
  if (!NAME.test(name))
    throw new Fault("invalid-argument", `${JSON.stringify(name)} is not a server name`, {
      need: "letters, digits, . _ -",
    });
  world.requireHook();
  await refuseTaken(name, call, world);

  const incarnation: Incarnation = {
    server: call.serverId,
    migration: "home",
    side: "source",
    epoch: call.epoch,
  };
  const guest = readGuestHardware(flavor.extraSpecs, flavor);
  world.guests.update(call.serverId, { name, role: "none", incarnation: "", migrationId: "" });
  const booked = await bookNew(guest, formatIncarnation(incarnation), call, world);
  const folder = join(world.config.image_dirs[0] ?? "/var/lib/libvirt/images", name);
  await makeFolder(folder, call, world);
  const disks = await makeDisks(request, flavor, folder, call, world);
  const configPath = Object.keys(request.configDrive).length > 0 ? join(folder, "disk.config") : undefined;
  if (configPath !== undefined) {
    await makeOnce(configPath, call, world, () =>
      createConfigDrive(world.runTool, configPath, request.configDrive),
    );
  }
  const xml = createDomainXml({
    name,
    uuid: call.serverId,
    incarnation,
    vcpus: flavor.vcpus,
    ramMib: flavor.ramMib,
    ...(await newMachine(world)),
    disks,
    interfaces: request.interfaces.map(newInterface),
    firmware: request.firmware === "efi" ? "efi" : "bios",
    vtpm: request.vtpm,
    serialLogPath: join(folder, "console.log"),
    ...(configPath === undefined ? {} : { configDrive: { path: configPath, writable: true } }),
  });
  await world.fence.guestFiles.allow(call.serverId, formatIncarnation(incarnation));
  await world.hypervisor.define(withHardware(xml, guest, booked, world));
  return takeStock(call, formatIncarnation(incarnation), flavor, world);
};

/** Pins, cells, pages and devices that were booked, written into the definition. */
function withHardware(xml: string, guest: GuestHardware, booked: NewBooking, { config }: World): string {
  const { root } = parseDomain(xml);
  const hasSets = config.cpu_shared_set !== undefined || config.cpu_dedicated_set !== undefined;
  writeHardware(root, {
    placement: booked.placement,
    isReshaped: true,
    guestCells: guest.cells,
    floatingCpus: hasSets ? booked.sharedCpus : undefined,
    devices: booked.placement.devices.map(address => ({ address, networkInterface: undefined })),
  });
  return serializeXml(root);
}

async function refuseTaken(name: string, call: Call, { hypervisor }: World): Promise<void> {
  const sameName = await hypervisor.findDomainByName(name);
  if (sameName === undefined || sameName.uuid === call.serverId) return;
  throw new Fault("already-exists", `a domain named ${name} is defined on this host`, {
    fix: "choose another name",
  });
}

async function makeDisks(
  request: CreateDomain,
  flavor: Flavor,
  folder: string,
  call: Call,
  world: World,
): Promise<NewDisk[]> {
  const format = imageFormat(request.imageFormat);
  const image = await walkImageChain(world.files, world.places, { path: request.imagePath, format });
  const rootPath = join(folder, "disk");
  const mode = request.rootMode === "copy" ? "copy" : "overlay";
  const sizeBytes = Math.max(flavor.rootGib * GIB, roundUp(image[0]?.virtualSizeBytes ?? 0));
  await makeOnce(rootPath, call, world, () =>
    createRoot(world, { image, mode, path: rootPath, sizeBytes, signal: call.signal }),
  );
  const disks: NewDisk[] = [{ role: "root", path: rootPath, format: mode === "copy" ? "raw" : "qcow2" }];
  if (flavor.ephemeralGib > 0) {
    const path = join(folder, "disk.eph0");
    const disk = { path, sizeBytes: flavor.ephemeralGib * GIB, label: ephemeralLabel(0) };
    await makeOnce(path, call, world, () => createEphemeralDisk(world.runTool, disk));
    disks.push({ role: "ephemeral0", path, format: "raw" });
  }
  if (flavor.swapMib > 0) {
    const path = join(folder, "disk.swap");
    const swapBytes = flavor.swapMib * MIB;
    await makeOnce(path, call, world, () =>
      createSwapDisk(path, swapBytes, swapSpaceOf(swapBytes, randomUUID(), "swap")),
    );
    disks.push({ role: "swap", path, format: "raw" });
  }
  return disks;
}

const roundUp = (bytes: number): number => Math.ceil(bytes / MIB) * MIB;

function newInterface({ mac, type, source }: NetworkInterface): NewInterface {
  if (mac === "") throw new Fault("invalid-argument", "an interface needs a MAC");
  if (type === "bridge") return { mac, connection: { bridge: source } };
  if (type === "network") return { mac, connection: { network: source } };
  throw new Fault(
    "invalid-argument",
    `an interface is of type bridge or network, not ${JSON.stringify(type)}`,
  );
}

async function takeStock(call: Call, incarnation: string, flavor: Flavor, world: World) {
  const summary = await world.hypervisor.findDomain(call.serverId);
  if (summary === undefined) throw new Fault("failed", "the server vanished right after it was defined");
  const declared = new Map(
    flavor.swapMib > 0 ? [[flavor.ephemeralGib > 0 ? "vdc" : "vdb", "swap" as const]] : [],
  );
  const survey = await surveyDomain(summary, { declared, readOnlyDrives: "refuse" }, world);
  const [first] = survey.refusals;
  if (first !== undefined) throw new Fault("failed", `the new server could not be managed: ${first.message}`);
  const disks = survey.disks.map(diskOf);
  world.guests.update(call.serverId, { role: "active", incarnation, disks });
  return result({
    server: Server.fromPartial({
      id: call.serverId,
      name: summary.name,
      disks,
      interfaces: interfacesOf(survey.domain),
    }),
  });
}
