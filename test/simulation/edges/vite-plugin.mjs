/** For Vitest: the product's imports of what the table replaces are rewritten before anything else sees them. */

import { fileURLToPath } from "node:url";
import { replacementFor } from "./table.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;

export const simulatedEdges = () => ({
  name: "simulated-edges",
  enforce: "pre",
  transform(code, id) {
    const file = id.split("?")[0] ?? "";
    if (!file.startsWith(root) || file.includes("/node_modules/")) return undefined;
    return code.replace(SPECIFIER, (whole, before, specifier) => {
      const replacement = replacementFor(specifier, file.slice(root.length));
      return replacement === undefined ? whole : `${before}"${root}${replacement}"`;
    });
  },
});
