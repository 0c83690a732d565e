/** The image's architecture, hypervisor type and version, and kind of virtual machine are what the host can run. */

import type { SupportedGuest } from "../../../proto/gen/ferry/v1/host.js";
import { type Check, type Filter, PASS, refused } from "../filter.js";
import { supportedGuests } from "../host-capabilities.js";

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
    return host => checks.map(check => check(host)).find(reasons => reasons.length > 0) ?? PASS;
  },
};

interface Wish {
  readonly property: string;
  readonly field: keyof SupportedGuest;
  readonly value: string;
}

const guestCheck =
  (wanted: readonly Wish[]): Check =>
  host => {
    const guests = supportedGuests(host.hardware);
    if (guests.some(guest => wanted.every(({ field, value }) => guest[field] === value))) return PASS;
    return refused(host, {
      message: `host ${host.name} cannot run what the image asks for`,
      have:
        guests.map(guest => `${guest.architecture} ${guest.hypervisorType} ${guest.vmMode}`).join(", ") ||
        "unknown",
      need: wanted.map(({ property, value }) => `${property}=${value}`).join(", "),
      fix: "choose a host of that kind; image properties are set when a server is made",
    });
  };

/** `>=7.0, <9`: every part holds of QEMU's version. */
const versionCheck = (requested: string): Check => {
  const parts = requested
    .split(",")
    .map(part => /^\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+){0,2})\s*$/.exec(part));
  return host => {
    const have = host.hardware?.qemuVersion;
    const holds = (part: RegExpExecArray | null) =>
      part !== null && have !== undefined && comparison(have, part[1] ?? "", versionNumber(part[2] ?? ""));
    if (parts.every(holds)) return PASS;
    return refused(host, {
      message: `host ${host.name} has another version of QEMU than the image asks for`,
      have: have === undefined ? "unknown" : versionText(have),
      need: `img_hv_requested_version ${requested}`,
      fix: `install another QEMU on ${host.name}, or choose another host`,
    });
  };
};

function comparison(have: number, operator: string, need: number): boolean {
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
