/** Each thing a target can lack is refused with a reason; a target that lacks nothing is not refused. */

import { describe, expect, it } from "vitest";
import { refusalsOf, type TargetFacts } from "../../../agent/claim/target-checks.js";
import { SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";

const manifest = SourceManifest.fromPartial({
  emulator: "/usr/bin/qemu-system-x86_64",
  machine: "pc-q35-7.2",
  arch: "x86_64",
  virtType: "kvm",
  memoryMib: 512,
});

const fitting: TargetFacts = {
  hookProblem: "",
  uuidTaken: false,
  nameTakenBy: undefined,
  emulatorPresent: true,
  machineProblem: "",
  defineProblem: "",
  missingNetworks: [],
  missingPaths: [],
  memoryAvailableMib: 512,
  bytesAvailable: 100,
  bytesNeeded: 100,
};

const refusing = (change: Partial<TargetFacts>) => refusalsOf({ ...fitting, ...change }, manifest);

describe("a target", () => {
  it("that lacks nothing is not refused", () => {
    expect(refusing({})).toEqual([]);
  });

  const lacking: [string, Partial<TargetFacts>, RegExp][] = [
    ["an unproven hook", { hookProblem: "restart libvirtd: hook not loaded" }, /hook does not guard/],
    ["the uuid taken", { uuidTaken: true, nameTakenBy: "u2" }, /this uuid is defined/],
    ["the name taken", { nameTakenBy: "u2" }, /has this name/],
    [
      "no emulator",
      { emulatorPresent: false, machineProblem: "no", defineProblem: "no" },
      /lacks the emulator/,
    ],
    [
      "an unknown machine type",
      { machineProblem: "unsupported", defineProblem: "no" },
      /does not run this machine/,
    ],
    ["no such bridge", { missingNetworks: ["bridge br7"] }, /no bridge br7/],
    ["no kernel file", { missingPaths: ["/boot/vmlinuz"] }, /lacks: \/boot\/vmlinuz/],
    ["too little memory", { memoryAvailableMib: 511 }, /too little memory/],
    ["unreadable memory", { memoryAvailableMib: undefined }, /could not be read/],
    ["too little space", { bytesAvailable: 99 }, /too little disk space/],
    ["unreadable space", { bytesAvailable: undefined }, /could not be read/],
    [
      "a libvirt that refuses the definition",
      { defineProblem: "unsupported configuration" },
      /refuses the domain/,
    ],
  ];

  it.each(lacking)("with %s is refused once, with a sentence", (_name, change, sentence) => {
    const refusals = refusing(change);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]?.message).toMatch(sentence);
  });

  it("with several wants is refused for each", () => {
    expect(refusing({ memoryAvailableMib: 0, missingNetworks: ["bridge a", "network b"] })).toHaveLength(3);
  });
});
