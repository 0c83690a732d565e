/**
 * For Vitest: the product's imports of what the table replaces are rewritten before anything else sees them, and its flushes
 * can be left out.
 */

import { fileURLToPath } from "node:url";
import { marked } from "../flushes/sites.mjs";
import { PRODUCT, replacementFor } from "./table.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;

export const simulatedEdges = () => ({
  name: "simulated-edges",
  enforce: "pre",
  transform(code, id) {
    const file = id.split("?")[0] ?? "";
    if (!file.startsWith(root) || file.includes("/node_modules/")) return undefined;
    const path = file.slice(root.length);
    const source = PRODUCT.some(folder => path.startsWith(folder)) ? marked(path, code) : code;
    return source.replace(SPECIFIER, (whole, before, specifier) => {
      const replacement = replacementFor(specifier, path);
      return replacement === undefined ? whole : `${before}"${root}${replacement}"`;
    });
  },
});
