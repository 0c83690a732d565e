/**
 * Which firmware libvirt takes for `<os firmware='efi'>`: the first descriptor, in order of preference, that is for this
 * architecture and machine type and has the features that the definition asks for.
 */

import type { GuestFirmware } from "../../proto/gen/ferry/v1/host.js";
import type { FirmwareNeed } from "../domain/guest-needs.js";

export interface FirmwareQuestion {
  readonly arch: string;
  /** Versioned: pc-q35-7.2. */
  readonly machine: string;
  readonly need: Pick<FirmwareNeed, "secure" | "features">;
}

export function chooseFirmware(
  offered: readonly GuestFirmware[],
  { arch, machine, need }: FirmwareQuestion,
): GuestFirmware | undefined {
  return offered.find(
    firmware =>
      firmware.interfaces.includes("uefi") &&
      firmware.targets.some(
        target =>
          target.architecture === arch && target.machines.some(pattern => matchesPattern(machine, pattern)),
      ) &&
      (!need.secure || firmware.features.includes("requires-smm")) &&
      [...need.features].every(([name, wanted]) => firmware.features.includes(name) === wanted),
  );
}

/** Shell patterns with `*` and `?`. */
function matchesPattern(text: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(text);
}
