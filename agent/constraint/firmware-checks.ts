/** Checks of firmware, TPM and encrypted memory: what the guest's own state must fit. */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { GuestFirmware } from "../../proto/gen/ferry/v1/host.js";
import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";
import { chooseFirmware } from "./choose-firmware.js";
import { unlessRefusedBefore } from "./machine-checks.js";
import type { Swtpm, TargetFacts } from "./target-facts.js";

const DESCRIPTORS = "/usr/share/qemu/firmware, /etc/qemu/firmware";

const firmware: Check = {
  name: "firmware",
  source: `${DESCRIPTORS}, sizes of the files they name, os/firmware of virConnectGetDomainCapabilities`,
  judge(facts, manifest) {
    const { automatic, loaderPath } = facts.needs.firmware;
    if (loaderPath !== undefined) return judgeLoader(loaderPath, facts, manifest);
    if (automatic === undefined) return [];
    const selections = facts.support?.firmwareSelections;
    if (selections === undefined)
      return unlessRefusedBefore(facts, "which firmware libvirt can choose there");
    if (selections.includes(automatic)) return automatic === "efi" ? judgeChoice(facts, manifest) : [];
    return [noFirmware(selections.join(", ") || "none", automatic)];
  },
};

const noFirmware = (have: string, need: string): Objection =>
  refused("the target has no firmware for this guest", {
    have,
    need,
    fix: "install the firmware package that the source has (ovmf, AAVMF)",
  });

/** A path that is not there is refused as such; one that is may still be another firmware. */
function judgeLoader(path: string, { host }: TargetFacts, { facts }: SourceManifest): Objection[] {
  const have = host.firmwareBytes.get(path);
  if (have === undefined) return [];
  const need = facts?.loaderBytes;
  if (need === undefined) return [unknown("the size of the source's firmware", path)];
  return have === need ? [] : [otherSize(`the firmware ${path}`, have, need)];
}

const otherSize = (what: string, have: number, need: number): Objection =>
  refused(`${what} has another size on the target: the guest's NVRAM would not fit it`, {
    have: `${have} bytes`,
    need: `${need} bytes`,
    fix: "install the same build of the firmware (2 MB and 4 MB builds do not mix)",
  });

/** Features that change what an NVRAM means; enrolled keys are in the NVRAM itself, which moves. */
const BINDING_FEATURES: readonly string[] = ["secure-boot", "requires-smm"];

function judgeChoice({ host, needs }: TargetFacts, manifest: SourceManifest): Objection[] {
  const { arch, machine, facts, files } = manifest;
  const chosen = chooseFirmware(host.firmware, { arch, machine, need: needs.firmware });
  const known = facts?.firmware;
  if (chosen === undefined) return [noFirmware("no descriptor that matches", `UEFI for ${machine}`)];
  if (known === undefined) return [unknown("the firmware that the source uses", DESCRIPTORS)];
  const nvram = files.find(({ kind }) => kind === "nvram");
  return [
    ...differentKinds(chosen, known),
    ...(nvram === undefined ? [] : judgeNvram(nvram.sizeBytes, chosen, host.firmwareBytes)),
  ];
}

function differentKinds(chosen: GuestFirmware, known: GuestFirmware): Objection[] {
  const kindOf = ({ features, nvramTemplateFormat }: GuestFirmware) =>
    [
      `NVRAM ${nvramTemplateFormat ?? "none"}`,
      ...BINDING_FEATURES.filter(name => features.includes(name)),
    ].join(", ");
  const [have, need] = [kindOf(chosen), kindOf(known)];
  if (have === need) return [];
  const fix = "install the same firmware packages on both hosts, or name the firmware in the definition";
  return [refused("libvirt on the target would choose another kind of firmware", { have, need, fix })];
}

function judgeNvram(
  sizeBytes: number,
  { nvramTemplatePath = "" }: GuestFirmware,
  bytes: ReadonlyMap<string, number>,
): Objection[] {
  const have = bytes.get(nvramTemplatePath);
  if (have === undefined) return [unknown("the size of the NVRAM template", nvramTemplatePath)];
  return have === sizeBytes ? [] : [otherSize(`the NVRAM template ${nvramTemplatePath}`, have, sizeBytes)];
}

const tpm: Check = {
  name: "tpm",
  source: "tpm of virConnectGetDomainCapabilities, swtpm socket --print-capabilities",
  judge(facts, manifest) {
    const { tpm: need } = facts.needs;
    if (need === undefined) return [];
    if (need.backend !== "emulator") {
      const detail = { have: need.backend, need: "emulator", fix: "give the guest an emulated TPM" };
      return [refused("the guest's TPM belongs to its host", detail)];
    }
    if (facts.support === undefined) return unlessRefusedBefore(facts, "which TPMs the target offers");
    if (!facts.support.tpmBackends.includes("emulator")) {
      const have = facts.support.tpmBackends.join(", ") || "none";
      const fix = "install swtpm and swtpm-tools there, then restart libvirtd";
      return [refused("the target has no emulated TPM", { have, need: "swtpm", fix })];
    }
    return judgeSwtpm(need.version, facts.host.swtpm, manifest.facts?.swtpmVersion);
  },
};

/** TPM state is written by one swtpm and read by the next: forwards is promised, backwards is not. */
function judgeSwtpm(
  version: string | undefined,
  here: Swtpm | undefined,
  there: string | undefined,
): Objection[] {
  const [have, need] = [minorOf(here?.version), minorOf(there)];
  if (here === undefined || have === undefined)
    return [unknown("the target's swtpm", "swtpm --version there")];
  if (need === undefined) return [unknown("the source's swtpm", "swtpm --version there")];
  const lacks = version !== undefined && !here.features.includes(`tpm-${version}`);
  const isOlder = have < need;
  const detail = {
    have: `swtpm ${here.version}`,
    fix: "upgrade swtpm on the target, or choose another host",
  };
  return [
    ...(lacks
      ? [refused(`swtpm on the target has no TPM ${version}`, { ...detail, need: `TPM ${version}` })]
      : []),
    ...(isOlder
      ? [
          refused("swtpm on the target is older than its state", {
            ...detail,
            need: `swtpm ${there} or newer`,
          }),
        ]
      : []),
  ];
}

/** `0.7.1` → 7: major and minor as one number. */
function minorOf(version: string | undefined): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\b/.exec(version ?? "");
  return match ? Number(match[1]) * 1000 + Number(match[2]) : undefined;
}

const encryptedMemory: Check = {
  name: "encrypted-memory",
  live: ({ needs: { launchSecurity } }) =>
    launchSecurity === undefined
      ? []
      : [
          refused("Operation 'live-migration' not supported for SEV-enabled instance", {
            have: launchSecurity.type,
            need: "memory that is not encrypted",
            fix: "move the server cold",
          }),
        ],
  source: "launchSecurity of the domain, features/sev of virConnectGetDomainCapabilities",
  judge(facts) {
    const { launchSecurity } = facts.needs;
    if (launchSecurity === undefined) return [];
    const { type, bound } = launchSecurity;
    if (bound || type !== "sev") {
      const have = bound ? `${type} with keys of one machine` : type;
      const fix = "remove <dhCert> and <session> from the definition, or leave the guest where it is";
      return [refused("this version cannot move the guest's encrypted memory", { have, need: "sev", fix })];
    }
    if (facts.support === undefined) return unlessRefusedBefore(facts, "whether the target has SEV");
    if (facts.support.launchSecurities.includes(type)) return [];
    const fix = "enable SEV in the firmware and kvm_amd of the target, or choose another host";
    return [refused("the target has no encrypted guest memory", { have: "no SEV", need: "SEV", fix })];
  },
};

export const FIRMWARE_CHECKS: readonly Check[] = [firmware, tpm, encryptedMemory];
