/** Run by `main.ts` with the edges of the simulation: so many messages, that seed; says the tallies as JSON. */

import { watchUnhandledRejections } from "../simulation/unhandled.js";
import { fuzzServices } from "./services.js";

const [inputs, seed] = process.argv.slice(2).map(Number);
const complaints: string[] = [];
watchUnhandledRejections(error => {
  complaints.push(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`);
});
const tallies = await fuzzServices(inputs ?? 0, seed ?? 0);
const own = { target: "(unhandled)", inputs: 0, accepted: 0, refused: 0, complaints };
process.stdout.write(JSON.stringify([...tallies, own]));
