/**
 * Whether disk data is compressed on its way: the source's policy, and what both ends can do.
 *
 * The source offers in its hello, the target chooses, and a host that cannot is never sent a compressed frame: then data goes
 * as it is. Only a policy that this host itself cannot keep is refused: its own when its agent starts, that of a migration
 * before the guest is stopped.
 */

import { Fault } from "../../proto/fault.js";
import type { CompressionPolicy } from "../os/engine.js";

export const COMPRESSION_POLICIES = ["auto", "off", "zstd"] as const satisfies readonly CompressionPolicy[];

/** What was asked of one migration, else what this host is configured with. */
export function chosenPolicy(asked: string | undefined, configured: CompressionPolicy): CompressionPolicy {
  if (asked === undefined || asked === "") return configured;
  const known = COMPRESSION_POLICIES.find(policy => policy === asked);
  if (known !== undefined) return known;
  const detail = { have: asked, need: COMPRESSION_POLICIES.join(", ") };
  throw new Fault("invalid-argument", `disk data cannot be compressed by ${JSON.stringify(asked)}`, detail);
}

/** What the two ends agreed on. */
export type Agreed = "none" | "zstd";

const ZSTD = "zstd";

/** The policy as this build can keep it; `auto` without zstd is `off`. */
export function keptPolicy(policy: CompressionPolicy, ours: readonly string[]): CompressionPolicy {
  if (ours.includes(ZSTD)) return policy;
  if (policy !== "zstd") return "off";
  throw new Fault("unsupported", "compress disk data with zstd", {
    have: "an engine that was built without libzstd",
    fix: 'apt-get install libzstd-dev && npm run build:native, or compression = "auto"',
  });
}

export const offeredBy = (policy: CompressionPolicy): string[] => (policy === "off" ? [] : [ZSTD]);

export const agreeOn = (offered: readonly string[], ours: readonly string[]): Agreed =>
  offered.includes(ZSTD) && ours.includes(ZSTD) ? ZSTD : "none";
