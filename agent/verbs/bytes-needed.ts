/** How much a server will write on its target: data, not virtual sizes, for sparse stays sparse. */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { TargetShape } from "./target-shape.js";

export function bytesNeeded(manifest: SourceManifest, { files }: TargetShape): number {
  const received = files.filter(file => file.mode === "copied").map(file => file.id);
  const receivedBytes = manifest.files
    .filter(file => received.includes(file.id))
    .reduce((sum, file) => sum + file.dataBytes, 0);
  return receivedBytes + convertedBytes(manifest, files);
}

/** Beside what is received, until it has taken its place: at most what all layers of a disk hold. */
function convertedBytes({ files: described }: SourceManifest, files: TargetShape["files"]): number {
  const devices = files.filter(({ convertTo }) => convertTo !== undefined).map(({ id }) => id.split("/")[0]);
  return described
    .filter(({ id }) => devices.includes(id.split("/")[0]))
    .reduce((sum, { dataBytes }) => sum + dataBytes, 0);
}
