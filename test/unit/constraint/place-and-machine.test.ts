/** Each thing a target can lack is refused with a reason; a target that lacks nothing is not refused. */

import { beforeAll, describe, expect, it } from "vitest";
import type { TargetFacts, TargetHost } from "../../../agent/constraint/target-facts.js";
import { Fault } from "../../../proto/fault.js";
import { toFaultInfo } from "../../../proto/fault-info.js";
import type { SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { capturedHost, factsOn, manifestFrom, messagesOf, needsOf, objectionsOf, resultOf } from "./hosts.js";

let host: TargetHost;
let manifest: SourceManifest;
beforeAll(async () => {
  host = await capturedHost("numa1-intel");
  manifest = manifestFrom(host);
});

const refusing = (change: Partial<TargetFacts>) => messagesOf({ ...factsOn(host), ...change }, manifest);

describe("a target", () => {
  it("that lacks nothing is not refused", () => {
    expect(objectionsOf(factsOn(host), manifest)).toEqual([]);
  });

  const lacking: [string, Partial<TargetFacts>, RegExp][] = [
    ["an unproven hook", { hookProblem: "restart libvirtd: hook not loaded" }, /hook does not guard/],
    ["the server in another migration", { occupiedBy: "incoming (migration m1)" }, /has this server already/],
    ["the uuid taken", { uuidTaken: true, nameTakenBy: "u2" }, /this uuid is defined/],
    ["the name taken", { nameTakenBy: "u2" }, /has this name/],
    [
      "no emulator",
      { emulatorPresent: false, machineProblem: "no", defineProblem: "no", support: undefined },
      /lacks the emulator/,
    ],
    [
      "an unknown machine type",
      { machineProblem: "unsupported", defineProblem: "no", support: undefined },
      /does not run this machine/,
    ],
    ["no such bridge", { missingNetworks: ["bridge br7"] }, /no bridge br7/],
    ["no kernel file", { missingPaths: ["/boot/vmlinuz"] }, /lacks: \/boot\/vmlinuz/],
    [
      "a file in the way",
      { fileRefusals: [toFaultInfo(new Fault("already-exists", "vda/0 exists"))] },
      /vda\/0 exists/,
    ],
    [
      "a volume out of reach",
      { volumeRefusals: [toFaultInfo(new Fault("refused", "the target does not reach volume vdb"))] },
      /does not reach volume vdb/,
    ],
    ["too little memory", { memoryAvailableMib: 511 }, /too little memory/],
    ["unreadable memory", { memoryAvailableMib: undefined }, /free memory is not known/],
    ["too little space", { bytesAvailable: 99 }, /too little disk space/],
    ["unreadable space", { bytesAvailable: undefined }, /disk space is not known/],
    [
      "a libvirt that refuses the definition",
      { defineProblem: "unsupported configuration" },
      /refuses the domain/,
    ],
  ];

  it.each(lacking)("with %s is refused once, with a sentence", (_name, change, sentence) => {
    const refusals = refusing(change);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatch(sentence);
  });

  it("with several wants is refused for each", () => {
    expect(refusing({ memoryAvailableMib: 0, missingNetworks: ["bridge a", "network b"] })).toHaveLength(3);
  });

  it("of which nothing could be read is refused as unknown, not taken for good", () => {
    const facts = { ...factsOn(host), memoryAvailableMib: undefined };
    expect(resultOf("memory", facts, manifest).outcome).toBe("unknown");
  });
});

describe("architecture", () => {
  it("must be the source's for an accelerated guest, and be known", () => {
    const judge = (architecture: string | undefined) =>
      resultOf("architecture", factsOn({ ...host, architecture }), manifest).outcome;
    expect([judge("x86_64"), judge("aarch64"), judge(undefined)]).toEqual(["ok", "refused", "unknown"]);
  });

  it("is nothing to an emulated guest", () => {
    const emulated = manifestFrom(host, { virtType: "qemu" });
    expect(resultOf("architecture", factsOn({ ...host, architecture: "aarch64" }), emulated).outcome).toBe(
      "ok",
    );
  });
});

describe("vcpus", () => {
  it("are at most what the machine type takes", () => {
    const judge = (vcpus: number) =>
      resultOf("vcpus", factsOn(host, { ...needsOf(), vcpus }), manifest).outcome;
    expect([judge(288), judge(289)]).toEqual(["ok", "refused"]);
  });
});

describe("versions", () => {
  it("older than the source's are a note and no refusal: the machine type decides", () => {
    const facts = factsOn({ ...host, versions: { libvirt: 8_000_000, qemu: 6_002_000 } });
    expect(objectionsOf(facts, manifest)).toEqual(["qemu-version: refused", "libvirt-version: refused"]);
    expect(messagesOf(facts, manifest)).toEqual([]);
    const [reason] = resultOf("qemu-version", facts, manifest).reasons;
    expect(reason).toMatchObject({ have: "6.2.0", need: "7.2.22 or newer" });
  });
});

describe("security labels", () => {
  const labelled = needsOf({ parts: '<seclabel type="static" model="selinux"><label>x</label></seclabel>' });

  it("of a model that the target lacks are refused", () => {
    expect(resultOf("security-labels", factsOn(host, labelled), manifest).outcome).toBe("refused");
    const withSelinux = { ...host, securityModels: ["selinux", "dac"] };
    expect(resultOf("security-labels", factsOn(withSelinux, labelled), manifest).outcome).toBe("ok");
    const silent = { ...host, securityModels: undefined };
    expect(resultOf("security-labels", factsOn(silent, labelled), manifest).outcome).toBe("unknown");
  });
});

describe("cells and guaranteed bandwidth", () => {
  it("a cell is not left, unless the caller may", () => {
    const across = { ...factsOn(host), cell: "cell-2" };
    expect(resultOf("cell", factsOn(host), manifestFrom(host)).outcome).toBe("ok");
    expect(resultOf("cell", across, manifestFrom(host))).toMatchObject({
      outcome: "refused",
      reasons: [{ have: "cell-2", need: "no cell" }],
    });
    expect(resultOf("cell", { ...across, crossCell: true }, manifestFrom(host)).outcome).toBe("ok");
  });

  it("a port's floor must be left on its network, and must be known", () => {
    const on = (leftKibps: number | undefined) => ({
      ...factsOn(host),
      portBandwidths: [{ network: "br0", neededKibps: 1000, leftKibps }],
    });
    const outcomes = [2000, 999, undefined].map(
      left => resultOf("port-bandwidth", on(left), manifestFrom(host)).outcome,
    );
    expect(outcomes).toEqual(["ok", "refused", "unknown"]);
  });
});
