/**
 * A process whose descriptors have run out while somebody connects: said on standard output, line by line, what the front
 * door of a gRPC server does then. Run by front-door.test.ts under `ulimit -n`.
 */

import { closeSync, openSync } from "node:fs";
import { openFrontDoor } from "../../../proto/front-door.js";
import { RPC_LIMITS } from "../../../proto/listener-limits.js";

const door = await openFrontDoor("127.0.0.1:0", RPC_LIMITS, socket => socket.end("welcome"));
const held: number[] = [];

/** Takes all that there are; answers why there are no more. */
function take(): string | undefined {
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

console.log(`${take()} ${door.port}`);
// What Node itself still had open for its start is given back at some time.
const taking = setInterval(take, 5);
// Until the other side has seen that nobody is let in.
process.stdin.once("data", () => {
  clearInterval(taking);
  for (const descriptor of held) closeSync(descriptor);
  console.log("room again");
});
process.stdin.once("end", () => {
  clearInterval(taking);
  door.shut();
});
