/** The target's side of a path probe: echoes, swallows bursts, and answers a seal with a burst of its own. */

import { randomBytes } from "node:crypto";
import type { Link } from "./link.js";
import { LEAF_BYTES, protocolFault } from "./protocol.js";

const BURST_LEAVES = 8;
/** A probe is a handful of frames; who sends more wants something else. */
const FRAMES_LIMIT = 64;

export async function answerProbe(link: Link): Promise<void> {
  await link.send("welcome");
  for (let count = 0; count < FRAMES_LIMIT; count += 1) {
    const frame = await link.next();
    if (frame === undefined) return;
    if (frame.type === "echo") await link.send("echo");
    else if (frame.type === "burst") continue;
    else if (frame.type === "seal") await sendBurst(link);
    else throw protocolFault(`${frame.type} frame in a probe`);
  }
  throw protocolFault("probe without end");
}

async function sendBurst(link: Link): Promise<void> {
  const payload = randomBytes(LEAF_BYTES);
  for (let leaf = 0; leaf < BURST_LEAVES; leaf += 1) await link.send("burst", {}, payload);
}
