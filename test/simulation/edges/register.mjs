/** `node --import`: runs TypeScript as it stands, with the edges of the table in place of the real modules. */

import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { without } from "../guards.mjs";
import { replacementFor } from "./table.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Name of the guard that this process is to do without. */
const missing = process.env.SIM_WITHOUT;

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    const isProduct = missing !== undefined && url.startsWith("file:") && !url.includes("/node_modules/");
    const file = isProduct ? fileURLToPath(url) : "";
    if (!file.startsWith(root) || typeof loaded.source === "undefined" || loaded.source === null)
      return loaded;
    const source = loaded.source.toString();
    return { ...loaded, source: without(missing, file.slice(root.length), source) };
  },
  resolve(specifier, context, next) {
    const importer = context.parentURL?.startsWith("file:") ? fileURLToPath(context.parentURL) : "";
    if (importer.startsWith(root) && !importer.includes("/node_modules/")) {
      const replacement = replacementFor(specifier, importer.slice(root.length));
      if (replacement !== undefined) return next(pathToFileURL(root + replacement).href, context);
      if (specifier.startsWith(".") && specifier.endsWith(".js")) {
        const typed = new URL(specifier.replace(/\.js$/, ".ts"), context.parentURL);
        if (existsSync(typed)) return next(typed.href, context);
      }
    }
    return next(specifier, context);
  },
});
