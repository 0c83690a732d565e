/** Checks of devices that are parts of one host. This version moves none of them, and says so. */

import type { Check } from "./check.js";
import { refused } from "./check.js";

const bound = (
  name: string,
  select: "assignedDevices" | "sharedFolders" | "persistentMemory",
  words: { readonly what: string; readonly need: string; readonly fix: string },
): Check => ({
  name,
  source: "the domain's definition",
  judge: ({ needs }) =>
    needs[select].map(have => refused(`${words.what}: ${have}`, { have, need: words.need, fix: words.fix })),
});

export const DEVICE_CHECKS: readonly Check[] = [
  bound("assigned-devices", "assignedDevices", {
    what: "the guest has a device of its host",
    need: "no assigned device, vGPU or SR-IOV port",
    fix: "detach it before the migration, and attach one of the target's afterwards",
  }),
  bound("shared-folders", "sharedFolders", {
    what: "the guest shares a folder of its host",
    need: "no <filesystem>",
    fix: "remove it from the definition",
  }),
  bound("persistent-memory", "persistentMemory", {
    what: "the guest has persistent memory, whose content would be lost",
    need: "no nvdimm or virtio-pmem",
    fix: "remove it from the definition",
  }),
];
