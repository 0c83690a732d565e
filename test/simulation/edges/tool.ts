/** Stands for `agent/os/tool.ts`: no program is installed on a simulated machine but those that stand here. */

import { basename } from "node:path";
import type { Argv, RunTool } from "../../../agent/os/tool.js";
import { Fault } from "../../../proto/fault.js";
import { step } from "../world/process.js";

export type * from "../../../agent/os/tool.js";

export const runTool: RunTool = async (argv: Argv) => {
  await step();
  const name = basename(argv[0]);
  throw new Fault("unsupported", `${name} is not installed`, { fix: `install the package of ${name}` });
};
