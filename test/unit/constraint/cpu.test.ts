/** The processor, judged between captured machines: Cascade Lake, Skylake, EPYC and QEMU's own. */

import { beforeAll, describe, expect, it } from "vitest";
import type { TargetFacts, TargetHost } from "../../../agent/constraint/target-facts.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { comparableCpu, comparableCpuXml, cpuModeOf } from "../../../agent/domain/guest-cpu.js";
import { capturedHost, factsOn, manifestFrom, needsOf, resultOf } from "./hosts.js";

let cascadeLake: TargetHost;
let skylake: TargetHost;
let epyc: TargetHost;
let generic: TargetHost;
beforeAll(async () => {
  [cascadeLake, skylake, epyc, generic] = await Promise.all([
    capturedHost("numa1-intel"),
    capturedHost("numa2-smt-intel"),
    capturedHost("numa4-smt"),
    capturedHost("numa1"),
  ]);
});

const outcomeOf = (name: string, facts: TargetFacts, manifest: ReturnType<typeof manifestFrom>) =>
  resultOf(name, facts, manifest).outcome;

describe("cpu-features (the rule of the node)", () => {
  it("accepts a host that has all that the source has", () => {
    expect(outcomeOf("cpu-features", factsOn(cascadeLake), manifestFrom(cascadeLake))).toBe("ok");
  });

  it("refuses a host that lacks some, and names them", () => {
    const { outcome, reasons } = resultOf("cpu-features", factsOn(generic), manifestFrom(epyc));
    expect(outcome).toBe("refused");
    expect(reasons[0]?.message).toMatch(/lacks features of the source's: .*avx2/);
    expect(reasons[0]?.fix).toMatch(/cpu_check/);
  });

  it("does not count words by which the kernel speaks of itself", () => {
    const boasting = { ...cascadeLake.cpu, flags: [...cascadeLake.cpu.flags, "pti", "retpoline"] };
    const manifest = manifestFrom({ ...cascadeLake, cpu: boasting });
    expect(outcomeOf("cpu-features", factsOn(cascadeLake), manifest)).toBe("ok");
  });

  it("is unknown where flags could not be read, on either side", () => {
    const blind = { ...epyc, cpu: { ...epyc.cpu, flags: [] } };
    expect(outcomeOf("cpu-features", factsOn(blind), manifestFrom(epyc))).toBe("unknown");
    expect(outcomeOf("cpu-features", factsOn(epyc), manifestFrom(blind))).toBe("unknown");
    expect(outcomeOf("cpu-features", factsOn(epyc), { ...manifestFrom(epyc), facts: undefined })).toBe(
      "unknown",
    );
  });

  it("is not asked of an emulated guest, nor where only the guest's view counts", () => {
    const emulated = manifestFrom(epyc, { virtType: "qemu" });
    expect(outcomeOf("cpu-features", factsOn(generic), emulated)).toBe("ok");
    const facts = { ...factsOn(generic), cpuCheck: "guest" as const };
    expect(outcomeOf("cpu-features", facts, manifestFrom(epyc))).toBe("ok");
  });
});

describe("cpu-passthrough (exactly the same CPU)", () => {
  const needs = needsOf({ parts: '<cpu mode="host-passthrough" check="none" migratable="on"/>' });
  const differing = (target: TargetHost, source: TargetHost) =>
    resultOf("cpu-passthrough", factsOn(target, needs), manifestFrom(source)).reasons.map(
      ({ message }) => message,
    );

  it("accepts the same machine", () => {
    expect(differing(skylake, skylake)).toEqual([]);
  });

  it("refuses another stepping of the same family and model", () => {
    expect(differing(cascadeLake, skylake).join()).toMatch(/stepping differs/);
  });

  it("refuses another vendor, and says each difference", () => {
    const said = differing(epyc, skylake).join("; ");
    for (const word of ["vendor", "family", "model", "microcode", "flags"]) expect(said).toContain(word);
  });

  it.each(["microcode", "stepping"] as const)("refuses when only the %s differs", field => {
    const cpu = { ...skylake.cpu, [field]: field === "microcode" ? "0x2" : 9 };
    expect(differing({ ...skylake, cpu }, skylake)).toHaveLength(1);
  });

  it("refuses a flag more as well as a flag less", () => {
    const more = { ...skylake, cpu: { ...skylake.cpu, flags: [...skylake.cpu.flags, "amx_tile"] } };
    expect(differing(more, skylake)).toHaveLength(1);
    expect(differing(skylake, more)).toHaveLength(1);
  });

  it("is unknown where the microcode cannot be read", () => {
    const cpu = { ...skylake.cpu, microcode: undefined };
    expect(outcomeOf("cpu-passthrough", factsOn({ ...skylake, cpu }, needs), manifestFrom(skylake))).toBe(
      "unknown",
    );
  });

  it("holds for maximum under KVM, and is nothing to other guests", () => {
    const maximum = needsOf({ parts: '<cpu mode="maximum"/>' });
    expect(outcomeOf("cpu-passthrough", factsOn(epyc, maximum), manifestFrom(skylake))).toBe("refused");
    expect(outcomeOf("cpu-passthrough", factsOn(epyc), manifestFrom(skylake))).toBe("ok");
  });
});

describe("cpu-guest (what the guest sees, by the target's libvirt)", () => {
  const named = needsOf({ parts: '<cpu mode="custom" check="partial"><model>Nehalem</model></cpu>' });
  const unchecked = needsOf({ parts: '<cpu mode="custom" check="none"><model>EPYC</model></cpu>' });
  const answering = (guestCpu: TargetFacts["guestCpu"], needs = named) => ({
    ...factsOn(epyc, needs),
    guestCpu,
  });

  it("accepts identical and superset, and refuses incompatible", () => {
    const manifest = manifestFrom(epyc);
    const outcomes = (["identical", "superset", "incompatible"] as const).map(answer =>
      outcomeOf("cpu-guest", answering(answer), manifest),
    );
    expect(outcomes).toEqual(["ok", "ok", "refused"]);
  });

  it("is unknown without an answer, or without a CPU to ask about", () => {
    expect(outcomeOf("cpu-guest", answering(undefined), manifestFrom(epyc))).toBe("unknown");
    const nameless = manifestFrom(epyc, { facts: { guestCpuXml: undefined } });
    expect(outcomeOf("cpu-guest", answering("superset"), nameless)).toBe("unknown");
  });

  it("accepts a guest that has less than its model names already, if the target has no less", () => {
    const incompatibleThere = { guestCpuComparison: "incompatible" };
    const emulated = manifestFrom(epyc, { virtType: "qemu", facts: incompatibleThere });
    expect(outcomeOf("cpu-guest", answering("incompatible", unchecked), emulated)).toBe("ok");
    const older = { ...epyc, versions: { libvirt: 9_000_000, qemu: 6_000_000 } };
    const onOlder = { ...answering("incompatible", unchecked), host: older };
    expect(outcomeOf("cpu-guest", onOlder, emulated)).toBe("refused");
    const accelerated = manifestFrom(epyc, { facts: incompatibleThere });
    expect(outcomeOf("cpu-guest", answering("incompatible", unchecked), accelerated)).toBe("ok");
    const onGeneric = { ...answering("incompatible", unchecked), host: generic };
    expect(outcomeOf("cpu-guest", onGeneric, accelerated)).toBe("refused");
  });

  it("refuses a guest without check that has all of its model at the source", () => {
    const emulated = manifestFrom(epyc, { virtType: "qemu" });
    expect(outcomeOf("cpu-guest", answering("incompatible", unchecked), emulated)).toBe("refused");
  });

  it("leaves host-passthrough to the exact comparison", () => {
    const needs = needsOf({ parts: '<cpu mode="host-passthrough"/>' });
    expect(outcomeOf("cpu-guest", answering(undefined, needs), manifestFrom(epyc))).toBe("ok");
  });
});

describe("a CPU element", () => {
  const cpuOf = (xml: string) =>
    readDomain(
      `<domain type="kvm"><name>a</name><uuid>3f2b1c4e-5a6d-4e7f-8091-a2b3c4d5e6f7</uuid><memory>1</memory><vcpu>1</vcpu>${xml}</domain>`,
    ).cpu;

  it("without a model is never handed to libvirt, which would call any host a superset of it", () => {
    for (const xml of [
      "",
      '<cpu><topology sockets="1" cores="2" threads="1"/></cpu>',
      '<cpu mode="host-passthrough"/>',
      '<cpu mode="host-model" check="partial"/>',
      '<cpu mode="custom"><feature policy="require" name="avx2"/></cpu>',
    ]) {
      expect(comparableCpu(cpuOf(xml))).toBeUndefined();
    }
  });

  it("keeps model, vendor and features and nothing else", () => {
    const xml =
      '<cpu mode="custom" match="exact" check="full"><model fallback="forbid">EPYC</model><vendor>AMD</vendor><topology sockets="1" cores="1" threads="1"/><feature policy="disable" name="x&amp;y"/><numa><cell id="0" cpus="0" memory="1"/></numa></cpu>';
    const written = comparableCpu(cpuOf(xml)) ?? "";
    expect(written).toContain("<model>EPYC</model><vendor>AMD</vendor>");
    expect(written).not.toMatch(/topology|numa/);
    expect(comparableCpuXml(written)).toBe(written);
  });

  it("tells its mode, and a default where it names no model", () => {
    const modes = [
      undefined,
      '<cpu mode="host-model"/>',
      "<cpu><model>EPYC</model></cpu>",
      '<cpu><topology sockets="1" cores="1" threads="1"/></cpu>',
      '<cpu mode="maximum"/>',
    ].map(xml => cpuModeOf(xml === undefined ? undefined : cpuOf(xml)));
    expect(modes).toEqual(["default", "host-model", "custom", "default", "maximum"]);
  });
});
