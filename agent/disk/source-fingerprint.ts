/**
 * What a server is made of on its source, as one digest (SAFETY R17): taken while the guest runs and taken again
 * after it has stopped, it differs if, and only if, somebody changed the machine behind Ferry.
 *
 * Covered: the definition in canonical form, and of each layer of each disk its path, format, virtual size and
 * identity, of a block device its size and its name. Not covered, because a running guest changes it: content, allocated bytes and times.
 */

import { createHash } from "node:crypto";
import { canonicalXml } from "../domain/canonical-xml.js";
import { identityOf } from "./block-device.js";
import type { LaidOutDisk } from "./disk-layout.js";
import { UNBORN } from "./file-identity.js";
import type { ImageLayer } from "./image-rules.js";

type Disk = Pick<LaidOutDisk, "targetDev" | "chain" | "blockDevice">;

/** SHA-256 in hexadecimal. */
export function sourceFingerprint(inactiveXml: string, disks: readonly Disk[]): string {
  const chains = disks.map(({ targetDev, chain, blockDevice }) => [
    targetDev,
    chain.map(layerFacts),
    ...(blockDevice === undefined ? [] : [blockDevice.path, blockDevice.sizeBytes, identityOf(blockDevice)]),
  ]);
  const text = JSON.stringify([canonicalXml(inactiveXml), chains]);
  return createHash("sha256").update(text).digest("hex");
}

const layerFacts = ({ path, format, virtualSizeBytes, facts }: ImageLayer) => [
  path,
  format,
  virtualSizeBytes,
  // Numbered anew by a reboot, which changes no machine.
  facts.birthNs === UNBORN ? facts.device : "",
  facts.inode,
  facts.birthNs,
];
