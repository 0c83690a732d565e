/** What the target is asked to make of the disks that are copied. */

import { Fault } from "../../proto/fault.js";

export type DiskFormat = "raw" | "qcow2";

/** Undefined: they stay what they are. */
export function checkedDiskFormat(asked: string | undefined): DiskFormat | undefined {
  if (asked === undefined || asked === "") return undefined;
  if (asked === "raw" || asked === "qcow2") return asked;
  throw new Fault("invalid-argument", `disks cannot be made ${asked}`, { have: asked, need: "raw or qcow2" });
}
