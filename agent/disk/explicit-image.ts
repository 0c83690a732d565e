/**
 * An image chain as QEMU takes it with nothing left to find out (SAFETY R19): every layer's format and path given,
 * so that a header that changes after it was checked leads QEMU nowhere.
 */

import type { ImageLayer } from "./image-rules.js";

/** Image argument for qemu-img, to be used without `-f`: the driver is named inside. */
export const explicitImage = (chain: readonly ImageLayer[]): string =>
  `json:${JSON.stringify(explicitNode(chain))}`;

interface BlockNode {
  readonly driver: string;
  readonly file: { readonly driver: string; readonly filename: string };
  /** Null ends the chain, whatever the header says. */
  readonly backing?: BlockNode | null;
}

function explicitNode([layer, ...below]: readonly ImageLayer[]): BlockNode {
  if (!layer) throw new TypeError("an image has at least one layer");
  const node = { driver: layer.format, file: { driver: "file", filename: layer.path } };
  if (layer.format === "raw") return node;
  return { ...node, backing: below.length > 0 ? explicitNode(below) : null };
}
