/** One copy over the transfer addon, then a file that is renamed from one folder into another: for whoever watches the calls. */

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { transferPair } from "./transfer-pair.mjs";

const [, , transferPath, fastioPath, directory] = process.argv;
const { copy, dispose } = await transferPair(transferPath);
if (!(await copy())) throw new Error("the copy differs");
dispose();
const fastio = createRequire(import.meta.url)(fastioPath);
for (const folder of ["from", "into"]) mkdirSync(join(directory, folder));
writeFileSync(join(directory, "from", "a"), "");
await fastio.renameNoReplace(join(directory, "from", "a"), join(directory, "into", "b"));
