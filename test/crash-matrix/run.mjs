/** Runs main.ts as it is: Node strips the types, and imports name what the compiler would make of the files. */

import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

registerHooks({
  resolve(specifier, context, next) {
    const source = specifier.startsWith(".") && new URL(specifier.replace(/\.js$/, ".ts"), context.parentURL);
    return next(source && existsSync(fileURLToPath(source)) ? source.href : specifier, context);
  },
});
await import("./main.ts");
