/** Ends the process at a random moment with transfers under way. Exit code 7 is success. */

import { transferPair } from "./transfer-pair.mjs";

const { copy } = await transferPair(process.argv[2]);
const copyForever = async () => {
  for (;;) await copy();
};
for (let index = 0; index < 3; index++) void copyForever();
setTimeout(() => process.exit(7), Math.random() * 400);
