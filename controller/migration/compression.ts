/** Whether disk data of one migration is compressed on its way, where the source's own configuration is not what is wanted. */

import { Fault } from "../../proto/fault.js";

const POLICIES = ["auto", "off", "zstd"] as const;

export type Compression = (typeof POLICIES)[number];

/** Undefined: as the source's agent is configured. */
export function checkedCompression(asked: string | undefined): Compression | undefined {
  if (asked === undefined || asked === "") return undefined;
  const known = POLICIES.find(policy => policy === asked);
  if (known !== undefined) return known;
  throw new Fault("invalid-argument", `disk data cannot be compressed by ${JSON.stringify(asked)}`, {
    have: asked,
    need: POLICIES.join(", "),
  });
}
