/** Where a gRPC server listens, by the name that its configuration gives. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
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

  it("is there again when the process has descriptors again; who comes meanwhile is hung up on", async () => {
    const program = new URL("without-descriptors.ts", import.meta.url).pathname;
    const node = `exec "$0" --import ./test/fuzz/typescript.mjs "$1"`;
    const child = spawn("bash", ["-c", `ulimit -n 64; ${node}`, process.execPath, program]);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const [reason, port] = String((await lines.next()).value).split(" ");
    expect(reason).toBe("EMFILE");
    // A descriptor that Node gives back just then lets one more in.
    const isTurnedAway = async () => {
      const socket = connect(Number(port), "127.0.0.1");
      await once(socket.resume(), "close");
      return socket.bytesRead === 0;
    };
    await expect.poll(isTurnedAway, { timeout: 10_000 }).toBe(true);
    child.stdin.write("\n");
    expect((await lines.next()).value).toBe("room again");
    const [words] = await once(connect(Number(port), "127.0.0.1"), "data");
    expect(String(words)).toBe("welcome");
    child.stdin.end();
    expect(await once(child, "close")).toEqual([0, null]);
  });
});
