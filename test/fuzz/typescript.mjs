/** `node --import`: runs the sources as they stand, where an import of `x.js` means `x.ts`. */

import { existsSync } from "node:fs";
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = specifier.startsWith(".") && specifier.endsWith(".js");
    if (!isOurs || context.parentURL?.includes("/node_modules/")) return next(specifier, context);
    const typed = new URL(specifier.replace(/\.js$/, ".ts"), context.parentURL);
    return next(existsSync(typed) ? typed.href : specifier, context);
  },
});
