/** `npm run load -- --lab [--migrations N] [--hosts N] [--running N]`: see lab-load.ts. The last line is the outcome. */

import { parseArgs } from "node:util";
import { labLoad } from "./lab-load.js";

const HELP = `npm run load                  200 migrations at once over 10 fake hosts, in virtual time
npm run load -- --lab         the same over real hosts: libvirts, agents and tiny disks of a lab of its own
  --migrations N              so many servers, each moved once (50)
  --hosts N                   over so many hosts (4)
  --running N                 so many of them with a guest that runs (3)
`;

const { values } = parseArgs({
  options: {
    lab: { type: "boolean", default: false },
    migrations: { type: "string", default: "50" },
    hosts: { type: "string", default: "4" },
    running: { type: "string", default: "3" },
    help: { type: "boolean", default: false },
  },
});

const [servers, hosts, running] = [values.migrations, values.hosts, values.running].map(Number);
if (values.help) process.stdout.write(HELP);
else if (
  servers === undefined ||
  hosts === undefined ||
  running === undefined ||
  !(hosts >= 2 && servers >= 1)
) {
  process.stderr.write(HELP);
  process.exitCode = 64;
} else {
  const limits = { total: 3, perHost: 2 };
  const { endedRight, problems, figures } = await labLoad({ servers, hosts, running, limits });
  for (const problem of problems) process.stdout.write(`problem: ${problem}\n`);
  process.stdout.write(`load: ${JSON.stringify(figures)}\n`);
  process.stdout.write(
    `load: ${servers} migrations, ${endedRight} ended right, ${problems.length} problems\n`,
  );
  process.exitCode = endedRight === servers && problems.length === 0 ? 0 : 1;
}
