/** Firmware, TPM, encrypted memory, and the devices that belong to one host. */

import { beforeAll, describe, expect, it } from "vitest";
import { chooseFirmware } from "../../../agent/constraint/choose-firmware.js";
import type { TargetFacts, TargetHost } from "../../../agent/constraint/target-facts.js";
import { ManifestFile, type SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { GuestFirmware } from "../../../proto/gen/ferry/v1/host.js";
import { capturedHost, factsOn, manifestFrom, needsOf, resultOf } from "./hosts.js";

const firmware = (name: string, features: string[], nvramTemplateFormat = "raw") =>
  GuestFirmware.fromPartial({
    interfaces: ["uefi"],
    loaderPath: `/fw/${name}_CODE.fd`,
    nvramTemplatePath: `/fw/${name}_VARS.fd`,
    nvramTemplateFormat,
    features,
    targets: [{ architecture: "x86_64", machines: ["pc-q35-*"] }],
  });

const PLAIN = firmware("plain", []);
const SECURE = firmware("secure", ["secure-boot", "requires-smm"]);
const ENROLLED = firmware("enrolled", ["secure-boot", "requires-smm", "enrolled-keys"]);
const NVRAM = ManifestFile.fromPartial({ id: "nvram", kind: "nvram", sizeBytes: 540_672 });

const EFI = needsOf({ osAttributes: 'firmware="efi"' });
const sizes = (bytes: number) =>
  new Map([PLAIN, SECURE, ENROLLED].map(({ nvramTemplatePath = "" }) => [nvramTemplatePath, bytes]));

let host: TargetHost;
beforeAll(async () => {
  host = await capturedHost("numa1-intel");
});

const outcome = (name: string, facts: TargetFacts, manifest: SourceManifest) =>
  resultOf(name, facts, manifest).outcome;
const withFirmware = (offered: GuestFirmware[], bytes = 540_672): TargetHost => ({
  ...host,
  firmware: offered,
  firmwareBytes: sizes(bytes),
});
const from = (used: GuestFirmware | undefined) =>
  manifestFrom(host, { facts: { firmware: used }, files: [NVRAM] });

describe("firmware that libvirt chooses", () => {
  it("is the same kind with an NVRAM of the same size", () => {
    expect(outcome("firmware", factsOn(withFirmware([SECURE, PLAIN]), EFI), from(SECURE))).toBe("ok");
    expect(outcome("firmware", factsOn(withFirmware([ENROLLED]), EFI), from(SECURE))).toBe("ok");
  });

  it("is refused when the target would choose one with or without secure boot instead", () => {
    const { outcome: said, reasons } = resultOf(
      "firmware",
      factsOn(withFirmware([PLAIN]), EFI),
      from(SECURE),
    );
    expect(said).toBe("refused");
    expect(reasons[0]).toMatchObject({ have: "NVRAM raw", need: "NVRAM raw, secure-boot, requires-smm" });
  });

  it("is refused when its NVRAM has another format or size", () => {
    const other = firmware("plain", [], "qcow2");
    expect(outcome("firmware", factsOn(withFirmware([other]), EFI), from(PLAIN))).toBe("refused");
    const facts = factsOn(withFirmware([PLAIN], 131_072), EFI);
    expect(resultOf("firmware", facts, from(PLAIN)).reasons[0]).toMatchObject({ have: "131072 bytes" });
  });

  it("is refused where there is none, and unknown where the source's is", () => {
    expect(outcome("firmware", factsOn(withFirmware([]), EFI), from(PLAIN))).toBe("refused");
    expect(outcome("firmware", factsOn(withFirmware([PLAIN]), EFI), from(undefined))).toBe("unknown");
  });

  it("is nothing to a guest with the emulator's own BIOS", () => {
    expect(outcome("firmware", factsOn(withFirmware([])), from(undefined))).toBe("ok");
  });

  it("follows machine, secure loader and asked features, in order of preference", () => {
    const choose = (machine: string, secure = false, features: [string, boolean][] = []) =>
      chooseFirmware([ENROLLED, SECURE, PLAIN], {
        arch: "x86_64",
        machine,
        need: { secure, features: new Map(features) },
      })?.loaderPath;
    expect(choose("pc-q35-7.2")).toBe(ENROLLED.loaderPath);
    expect(choose("pc-q35-7.2", true, [["enrolled-keys", false]])).toBe(SECURE.loaderPath);
    expect(choose("pc-q35-7.2", false, [["secure-boot", false]])).toBe(PLAIN.loaderPath);
    expect(choose("pc-i440fx-7.2")).toBeUndefined();
  });
});

describe("firmware that is named", () => {
  const path = "/usr/share/OVMF/OVMF_CODE_4M.fd";
  const needs = needsOf({ os: `<loader readonly="yes" type="pflash">${path}</loader>` });
  const on = (bytes: number) => factsOn({ ...host, firmwareBytes: new Map([[path, bytes]]) }, needs);

  it("must have the size that it has on the source", () => {
    const manifest = manifestFrom(host, { facts: { loaderBytes: 3_653_632 } });
    expect(outcome("firmware", on(3_653_632), manifest)).toBe("ok");
    expect(outcome("firmware", on(1_966_080), manifest)).toBe("refused");
    expect(outcome("firmware", on(1_966_080), manifestFrom(host))).toBe("unknown");
  });
});

describe("tpm", () => {
  const emulated = needsOf({ devices: '<tpm><backend type="emulator" version="2.0"/></tpm>' });
  const withSwtpm = (swtpm: TargetHost["swtpm"]) => factsOn({ ...host, swtpm }, emulated);
  const both = ["tpm-1.2", "tpm-2.0"];

  it("needs an swtpm of that version of TPM that is no older than the source's", () => {
    const manifest = manifestFrom(host);
    const judge = (swtpm: TargetHost["swtpm"]) => outcome("tpm", withSwtpm(swtpm), manifest);
    expect(judge({ version: "0.7.3", features: both })).toBe("ok");
    expect(judge({ version: "0.10.0", features: both })).toBe("ok");
    expect(judge({ version: "0.7.3", features: ["tpm-1.2"] })).toBe("refused");
    expect(judge({ version: "0.6.4", features: both })).toBe("refused");
    expect(judge(undefined)).toBe("unknown");
    expect(judge({ version: undefined, features: both })).toBe("unknown");
  });

  it("is unknown where the source's swtpm is", () => {
    expect(outcome("tpm", factsOn(host, emulated), { ...manifestFrom(host), facts: undefined })).toBe(
      "unknown",
    );
  });

  it("is refused where libvirt has no emulated TPM, and where it belongs to the host", () => {
    const { support } = factsOn(host);
    if (support === undefined) throw new Error("no support was recorded");
    const none = { ...factsOn(host, emulated), support: { ...support, tpmBackends: [] } };
    expect(outcome("tpm", none, manifestFrom(host))).toBe("refused");
    const passed = needsOf({ devices: '<tpm><backend type="passthrough"/></tpm>' });
    expect(outcome("tpm", factsOn(host, passed), manifestFrom(host))).toBe("refused");
  });
});

describe("encrypted-memory", () => {
  const sev = needsOf({ parts: '<launchSecurity type="sev"><policy>0x1</policy></launchSecurity>' });
  const bound = needsOf({ parts: '<launchSecurity type="sev"><session>AA</session></launchSecurity>' });
  const snp = needsOf({ parts: '<launchSecurity type="sev-snp"/>' });

  it("needs SEV on the target, and keys that are not one machine's", () => {
    const manifest = manifestFrom(host);
    const { support } = factsOn(host);
    if (support === undefined) throw new Error("no support was recorded");
    const able = { ...support, launchSecurities: ["sev"] };
    expect(outcome("encrypted-memory", { ...factsOn(host, sev), support: able }, manifest)).toBe("ok");
    expect(outcome("encrypted-memory", factsOn(host, sev), manifest)).toBe("refused");
    expect(outcome("encrypted-memory", { ...factsOn(host, bound), support: able }, manifest)).toBe("refused");
    expect(outcome("encrypted-memory", { ...factsOn(host, snp), support: able }, manifest)).toBe("refused");
  });
});

describe("devices of one host", () => {
  const cases: [string, string, string, RegExp][] = [
    [
      "assigned-devices",
      "a USB device",
      '<hostdev mode="subsystem" type="usb"><source><vendor id="0x1234"/><product id="0xbeef"/></source></hostdev>',
      /usb device/,
    ],
    [
      "assigned-devices",
      "a vGPU",
      '<hostdev mode="subsystem" type="mdev" model="vfio-pci"><source><address uuid="c2177883-f1bb-47f0-914d-32a22e3a8804"/></source></hostdev>',
      /vGPU \(mdev c2177883/,
    ],
    [
      "assigned-devices",
      "a vDPA port",
      '<interface type="vdpa"><mac address="52:54:00:00:00:01"/></interface>',
      /vdpa interface 52:54/,
    ],
    [
      "shared-folders",
      "a virtiofs share",
      '<filesystem type="mount"><driver type="virtiofs"/><source dir="/srv"/><target dir="srv"/></filesystem>',
      /folder of its host: srv/,
    ],
    [
      "persistent-memory",
      "persistent memory",
      '<memory model="nvdimm"><source><path>/dev/dax0.0</path></source><target><size unit="MiB">1</size></target></memory>',
      /content would be lost/,
    ],
  ];

  it.each(cases)("%s: %s is refused in words", (name, _what, devices, sentence) => {
    const { outcome: said, reasons } = resultOf(
      name,
      factsOn(host, needsOf({ devices })),
      manifestFrom(host),
    );
    expect(said).toBe("refused");
    expect(reasons[0]?.message).toMatch(sentence);
    expect(outcome(name, factsOn(host), manifestFrom(host))).toBe("ok");
  });
});
