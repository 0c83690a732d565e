/** `node run.mjs FILE …`: a program of this project as it is. Node strips the types; imports name what the compiler would make. */

import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

registerHooks({
  resolve(specifier, context, next) {
    if (!/^\..*\.js$/.test(specifier)) return next(specifier, context);
    const source = new URL(specifier.replace(/\.js$/, ".ts"), context.parentURL);
    return next(existsSync(fileURLToPath(source)) ? source.href : specifier, context);
  },
});
const [program = ""] = process.argv.splice(2, 1);
await import(pathToFileURL(resolve(program)).href);
