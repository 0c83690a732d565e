/**
 * A port of the loopback for a daemon that has to be told one. It lies below those that the kernel gives out by itself, so
 * that no connection that somebody else makes can take it before the daemon does.
 */

import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

const FIRST = 20_000;
/** Where Linux begins unless it was told otherwise: net.ipv4.ip_local_port_range. */
const FIRST_OF_KERNEL = 32_768;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, FIRST_OF_KERNEL);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
