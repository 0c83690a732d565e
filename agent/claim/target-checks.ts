/**
 * Everything about a target that can be refused before the guest is stopped, as pure checks over facts.
 *
 * Each check answers refusals with have / need / fix; none answers "probably". A fact that could not be read is
 * `undefined` and refuses: unknown is not yes.
 */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "./refusal.js";

export interface TargetFacts {
  /** Empty when the hook was proven live since the daemon started (SAFETY R6). */
  readonly hookProblem: string;
  readonly uuidTaken: boolean;
  /** uuid of the domain that has this server's name, if any. */
  readonly nameTakenBy: string | undefined;
  readonly emulatorPresent: boolean;
  /** libvirt's own words when it refuses this machine type with this emulator; empty: accepted. */
  readonly machineProblem: string;
  /** libvirt's own words when it refuses to define the domain; empty: a trial definition went through. */
  readonly defineProblem: string;
  /** Bridges and active networks this domain needs and the target lacks: "bridge br7", "network lab (inactive)". */
  readonly missingNetworks: readonly string[];
  /** Host paths other than disks (kernel, loader, …) that do not exist on the target. */
  readonly missingPaths: readonly string[];
  readonly memoryAvailableMib: number | undefined;
  /** Bytes free where the disks will lie, after reserve and the claims of other migrations. */
  readonly bytesAvailable: number | undefined;
  readonly bytesNeeded: number;
}

type Check = (facts: TargetFacts, manifest: SourceManifest) => readonly FaultInfo[];

/** By name, in the order in which a person would want to read the refusals. */
export const TARGET_CHECKS: Readonly<Record<string, Check>> = {
  hook: ({ hookProblem }) =>
    hookProblem === ""
      ? []
      : [
          refusal("refused", `the libvirt hook does not guard this host: ${hookProblem}`, {
            fix: "restart libvirtd, then try again",
          }),
        ],

  identity: ({ uuidTaken, nameTakenBy }) => [
    ...(uuidTaken
      ? [
          refusal("already-exists", "a domain with this uuid is defined on the target", {
            fix: "undefine it there if it is a leftover",
          }),
        ]
      : []),
    ...(nameTakenBy === undefined || uuidTaken
      ? []
      : [
          refusal("already-exists", "another domain on the target has this name", {
            have: `uuid ${nameTakenBy}`,
            fix: "rename one of the two",
          }),
        ]),
  ],

  emulator: ({ emulatorPresent }, { emulator }) =>
    emulatorPresent
      ? []
      : [
          refusal("refused", "the target lacks the emulator", {
            need: emulator,
            fix: "install the same QEMU package there",
          }),
        ],

  machine: ({ machineProblem, emulatorPresent }, { machine, arch, virtType }) =>
    machineProblem === "" || !emulatorPresent
      ? []
      : [
          refusal("refused", `the target does not run this machine: ${machineProblem}`, {
            need: `${machine} (${arch}, ${virtType})`,
            fix: "upgrade QEMU on the target, or choose another host",
          }),
        ],

  networks: ({ missingNetworks }) =>
    missingNetworks.map(name =>
      refusal("refused", `the target has no ${name}`, {
        need: name,
        fix: "create it there, or choose another host",
      }),
    ),

  paths: ({ missingPaths }) =>
    missingPaths.map(path =>
      refusal("refused", `the domain names a file that the target lacks: ${path}`, {
        need: path,
        fix: `copy it to the target: ${path}`,
      }),
    ),

  memory: ({ memoryAvailableMib }, { memoryMib }) => {
    if (memoryAvailableMib === undefined)
      return [refusal("refused", "the target's free memory could not be read")];
    if (memoryAvailableMib >= memoryMib) return [];
    return [
      refusal("refused", "the target has too little memory", {
        have: `${memoryAvailableMib} MiB`,
        need: `${memoryMib} MiB`,
        fix: "stop or move a guest there, or choose another host",
      }),
    ];
  },

  space: ({ bytesAvailable, bytesNeeded }) => {
    if (bytesAvailable === undefined)
      return [refusal("refused", "the target's free disk space could not be read")];
    if (bytesAvailable >= bytesNeeded) return [];
    return [
      refusal("refused", "the target has too little disk space", {
        have: `${bytesAvailable} bytes`,
        need: `${bytesNeeded} bytes`,
        fix: "free space in the target's image folder, or choose another host",
      }),
    ];
  },

  definition: ({ defineProblem, emulatorPresent, machineProblem }) =>
    defineProblem === "" || !emulatorPresent || machineProblem !== ""
      ? []
      : [
          refusal("refused", `libvirt on the target refuses the domain: ${defineProblem}`, {
            fix: "compare libvirt and QEMU versions of both hosts",
          }),
        ],
};

/** All refusals of all checks; empty means that nothing known stands in the way. */
export function refusalsOf(facts: TargetFacts, manifest: SourceManifest): FaultInfo[] {
  return Object.values(TARGET_CHECKS).flatMap(check => check(facts, manifest));
}
