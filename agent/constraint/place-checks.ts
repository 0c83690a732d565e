/** Checks of the place itself: guarded, free of this server, and with room, networks and files for it. */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { Check, Objection } from "./check.js";
import { conflicting, refused, taken, unknown } from "./check.js";
import { portBandwidth } from "./port-bandwidth.js";
import type { TargetFacts } from "./target-facts.js";

const hook: Check = {
  name: "hook",
  source: "the libvirt hook's last proof",
  judge: ({ hookProblem }) =>
    hookProblem === ""
      ? []
      : [
          refused(`the libvirt hook does not guard this host: ${hookProblem}`, {
            have: hookProblem,
            need: "a hook that was seen to refuse",
            fix: "restart libvirtd, then try again",
          }),
        ],
};

const occupied: Check = {
  name: "occupied",
  source: "the target agent's journal",
  judge: ({ occupiedBy }) =>
    occupiedBy === ""
      ? []
      : [
          conflicting(`the target has this server already: ${occupiedBy}`, {
            have: occupiedBy,
            need: "nothing of this server",
            fix: "end that migration first",
          }),
        ],
};

const identity: Check = {
  name: "identity",
  source: "virDomainLookupByUUID, virDomainLookupByName",
  judge({ uuidTaken, nameTakenBy }) {
    if (uuidTaken) {
      const fix = "undefine it there if it is a leftover";
      return [taken("a domain with this uuid is defined on the target", { need: "no such domain", fix })];
    }
    if (nameTakenBy === undefined) return [];
    const detail = { have: `uuid ${nameTakenBy}`, need: "a free name", fix: "rename one of the two" };
    return [taken("another domain on the target has this name", detail)];
  },
};

const networks: Check = {
  name: "networks",
  source: "virConnectListAllNetworks, /sys/class/net/*/bridge",
  judge: ({ missingNetworks }) =>
    missingNetworks.map(name =>
      refused(`the target has no ${name}`, { need: name, fix: "create it there, or choose another host" }),
    ),
};

const paths: Check = {
  name: "paths",
  source: "access(2) of each path in the domain",
  judge: ({ missingPaths }) =>
    missingPaths.map(path =>
      refused(`the domain names a file that the target lacks: ${path}`, {
        need: path,
        fix: `copy it to the target: ${path}`,
      }),
    ),
};

const files: Check = {
  name: "files",
  source: "image_dirs in agent.toml, access(2) of each file's place",
  judge: ({ fileRefusals }) => fileRefusals.map(reason => ({ outcome: "refused", reason })),
};

const volumes: Check = {
  name: "volumes",
  source: "qemu-img info of each volume, compared with the source's",
  judge: ({ volumeRefusals }) => volumeRefusals.map(reason => ({ outcome: "refused", reason })),
};

const blockDevices: Check = {
  name: "block-devices",
  source: "/sys/dev/block of both hosts, open(O_EXCL) and /proc/PID/fd of the target",
  judge: ({ deviceRefusals }) => deviceRefusals.map(reason => ({ outcome: "refused", reason })),
};

const space: Check = {
  name: "space",
  source: "statfs of the image folder, less reserve and claims",
  judge({ bytesAvailable, bytesNeeded }) {
    if (bytesAvailable === undefined)
      return [unknown("the target's free disk space", "statfs of image_dirs")];
    if (bytesAvailable >= bytesNeeded) return [];
    return [
      refused("the target has too little disk space", {
        have: `${bytesAvailable} bytes`,
        need: `${bytesNeeded} bytes`,
        fix: "free space in the target's image folder, or choose another host",
      }),
    ];
  },
};

/** Cells are parts of one fleet between which storage and networks need not be the same. */
const cell: Check = {
  name: "cell",
  source: "cell in agent.toml of both hosts",
  judge: (target, manifest) => (target.crossCell ? [] : otherCell(target, manifest)),
  live: (target, manifest) => (target.crossCell ? otherCell(target, manifest) : []),
};

function otherCell({ cell: ofTarget }: TargetFacts, { facts }: SourceManifest): Objection[] {
  const ofSource = facts?.cell ?? "";
  if (ofSource === ofTarget) return [];
  return [
    refused("the target is in another cell", {
      have: ofTarget || "no cell",
      need: ofSource || "no cell",
      fix: "choose a host of the same cell; across cells moves only who may do compute:servers:resize:cross_cell, and never live",
    }),
  ];
}

export const PLACE_CHECKS: readonly Check[] = [
  hook,
  occupied,
  identity,
  cell,
  networks,
  portBandwidth,
  paths,
  files,
  volumes,
  blockDevices,
  space,
];
