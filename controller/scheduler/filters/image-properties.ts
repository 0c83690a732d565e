/** The image's architecture, hypervisor type and version, and kind of virtual machine are what the host can run. */

import type { SupportedGuest } from "../../../proto/gen/ferry/v1/host.js";
import type { Check, Filter } from "../filter.js";

const PROPERTIES = [
  ["hw_architecture", "architecture"],
  ["img_hv_type", "hypervisorType"],
  ["hw_vm_mode", "vmMode"],
] as const;

export const imagePropertiesFilter: Filter = {
  name: "ImagePropertiesFilter",
  prepare({ imageProperties }) {
    const wanted = PROPERTIES.flatMap(([property, field]) => {
      const value = imageProperties[property];
      return value === undefined ? [] : [{ property, field, value: canonical(value) }];
    });
    const version = imageProperties.img_hv_requested_version;
    const checks = [
      ...(wanted.length === 0 ? [] : [guestCheck(wanted)]),
      ...(version === undefined ? [] : [versionCheck(version)]),
    ];
    if (checks.length === 0) return undefined;
    return {
      passes: host => checks.every(({ passes }) => passes(host)),
      why: host => checks.filter(({ passes }) => !passes(host)).flatMap(({ why }) => why(host)),
    };
  },
};

interface Wish {
  readonly property: string;
  readonly field: keyof SupportedGuest;
  readonly value: string;
}

const guestCheck = (wanted: readonly Wish[]): Check => ({
  passes: ({ guests }) => guests.some(guest => isWanted(guest, wanted)),
  why: ({ name, guests }) => ({
    message: `host ${name} cannot run what the image asks for`,
    have:
      guests.map(guest => `${guest.architecture} ${guest.hypervisorType} ${guest.vmMode}`).join(", ") ||
      "unknown",
    need: wanted.map(({ property, value }) => `${property}=${value}`).join(", "),
    fix: "choose a host of that kind; image properties are set when a server is made",
  }),
});

function isWanted(guest: SupportedGuest, wanted: readonly Wish[]): boolean {
  for (const { field, value } of wanted) if (guest[field] !== value) return false;
  return true;
}

/** `>=7.0, <9`: every part holds of QEMU's version. */
function versionCheck(requested: string): Check {
  const parts = requested.split(",").map(part => {
    const [, operator, version] = /^\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+){0,2})\s*$/.exec(part) ?? [];
    return operator === undefined || version === undefined
      ? undefined
      : { operator, need: versionNumber(version) };
  });
  return {
    passes: ({ hardware }) => {
      const have = hardware?.qemuVersion;
      if (have === undefined) return false;
      return parts.every(part => part !== undefined && holds(have, part.operator, part.need));
    },
    why: ({ name, hardware }) => ({
      message: `host ${name} has another version of QEMU than the image asks for`,
      have: hardware?.qemuVersion === undefined ? "unknown" : versionText(hardware.qemuVersion),
      need: `img_hv_requested_version ${requested}`,
      fix: `install another QEMU on ${name}, or choose another host`,
    }),
  };
}

function holds(have: number, operator: string, need: number): boolean {
  if (operator === ">=") return have >= need;
  if (operator === "<=") return have <= need;
  if (operator === ">") return have > need;
  if (operator === "<") return have < need;
  return operator === "==" ? have === need : have !== need;
}

/** libvirt's own way: major × 1000000 + minor × 1000 + release. */
function versionNumber(text: string): number {
  const [major = 0, minor = 0, release = 0] = text.split(".").map(Number);
  return major * 1_000_000 + minor * 1_000 + release;
}

const versionText = (version: number): string =>
  `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1_000) % 1_000}.${version % 1_000}`;

/** Names that images are given for the same thing. */
const canonical = (value: string): string =>
  ({ amd64: "x86_64", "x86-64": "x86_64", i386: "i686", arm64: "aarch64" })[value.toLowerCase()] ??
  value.toLowerCase();
