/** Where a gRPC server listens, by the name that its configuration gives. */

import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type FrontDoor, openFrontDoor } from "../../../proto/front-door.js";
import { RPC_LIMITS } from "../../../proto/listener-limits.js";

/** For documentation (RFC 5737): no machine's. */
const NOBODYS = "192.0.2.1";

const opened: FrontDoor[] = [];

async function open(address: string, addresses: readonly string[]): Promise<FrontDoor> {
  const door = await openFrontDoor(
    address,
    RPC_LIMITS,
    socket => socket.end("welcome"),
    async () => [...addresses],
  );
  opened.push(door);
  return door;
}

afterEach(() => {
  for (const door of opened.splice(0)) {
    door.shut();
    door.clear();
  }
});

describe("a gRPC port", () => {
  it("is listened on at those addresses of its name that this machine has", async () => {
    const { port } = await open("ctl:0", [NOBODYS, "127.0.0.1"]);
    const [words] = await once(connect(port, "127.0.0.1"), "data");
    expect(String(words)).toBe("welcome");
  });

  it("is refused where this machine has none of them", async () => {
    await expect(open("ctl:0", [NOBODYS])).rejects.toThrow("no address of ctl is one of this machine");
  });

  it("is refused where somebody else listens at one of them", async () => {
    const { port } = await open("ctl:0", ["127.0.0.1"]);
    await expect(open(`ctl:${port}`, ["127.0.0.2", "127.0.0.1"])).rejects.toThrow("EADDRINUSE");
  });
});
