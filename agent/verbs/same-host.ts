/**
 * A resize on the host that the server is on: source and target are two incarnations of it on one host (SAFETY R5).
 *
 * The originals are set aside before anything of the target gets its name, so that every file keeps its path and both
 * sides share one row in the journal: the source's until the target is defined, the target's from then on.
 */

import type { ManifestFile, PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import type { Placement } from "../claim/place-files.js";
import type { World } from "./verb.js";

export const isSameHost = (peerHost: string, { config }: Pick<World, "config">): boolean =>
  peerHost === config.host;

/** What is not set aside with the source is there for the target as well. */
export const placeInPlace = (files: readonly ManifestFile[]): Placement => ({
  files: files.map(
    ({ id, path, sizeBytes, permissions, kind, mode }): PlannedFile => ({
      id,
      path,
      sizeBytes,
      permissions,
      mode: kind === "backing" || kind === "media" ? "present" : mode,
      newSizeBytes: 0,
      format: "",
      role: "",
    }),
  ),
  refusals: [],
});
