/** `npm run load -- --lab [--migrations N] [--hosts N] [--running N]`: see lab-load.ts. The last line is the outcome. */

import { readCommandLine, refuse, wholeNumber } from "../../command-line.js";
import { labLoad } from "./lab-load.js";

const HELP = `npm run load                  200 migrations at once over 10 fake hosts, in virtual time
npm run load -- --lab         the same over real hosts: libvirts, agents and tiny disks of a lab of its own
  --migrations N              so many servers, each moved once (50)
  --hosts N                   over so many hosts (4)
  --running N                 so many of them with a guest that runs (3)
`;

const values = readCommandLine(HELP, {
  lab: { type: "boolean", default: false },
  migrations: { type: "string", default: "50" },
  hosts: { type: "string", default: "4" },
  running: { type: "string", default: "3" },
});

if (!values.lab) refuse(HELP, "without --lab there is nothing to say");
const servers = wholeNumber(HELP, "migrations", values.migrations, 1);
const hosts = wholeNumber(HELP, "hosts", values.hosts, 2);
const running = wholeNumber(HELP, "running", values.running);
const limits = { total: 3, perHost: 2 };
const { endedRight, problems, figures } = await labLoad({ servers, hosts, running, limits });
for (const problem of problems) process.stdout.write(`problem: ${problem}\n`);
process.stdout.write(`load: ${JSON.stringify(figures)}\n`);
process.stdout.write(`load: ${servers} migrations, ${endedRight} ended right, ${problems.length} problems\n`);
process.exitCode = endedRight === servers && problems.length === 0 ? 0 : 1;
