/** Certificates of our own CA that ask a real controller port for more than they are for. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Api } from "../../../controller/api/api.js";
import { fleetService } from "../../../controller/api/fleet-service.js";
import { Policy } from "../../../controller/policy/policy.js";
import { Fault } from "../../../proto/fault.js";
import {
  FleetServiceService,
  HeartbeatRequest,
  HeartbeatResponse,
  HostServiceService,
} from "../../../proto/gen/ferry/v1/controller.js";
import type { Identity } from "../../../proto/identity.js";
import { call, createClient } from "../../../proto/rpc-client.js";
import { createServer, type RunningServer } from "../../../proto/rpc-server.js";
import { Certificates } from "../proto/certificates.js";
import { emptyFleet } from "../proto/empty-fleet.js";

let certificates: Certificates;
let server: RunningServer;
const heard: string[] = [];

beforeAll(async () => {
  certificates = await Certificates.make();
  const policy = new Policy();
  const fleet = {
    heartbeat: async ({ host }: HeartbeatRequest) => {
      heard.push(host);
      return HeartbeatResponse.fromPartial({});
    },
  };
  const carriedOut = () => Promise.reject(new Fault("unsupported", "carried out"));
  const hosts = emptyFleet({
    showHost: carriedOut,
    setHostStatus: carriedOut,
    forceHostDown: carriedOut,
  });
  server = await createServer({
    tls: await certificates.tls({ kind: "controller", name: "ctl" }),
    address: "127.0.0.1:0",
    services: [fleetService({ fleet } as unknown as Api), hosts],
    admit: ({ identity, path }) => policy.admit(identity, path),
  });
});
afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

type Caller = Omit<Identity, "domain">;
const MEMBER: Caller = { kind: "user", name: "eve", role: "member" };
const ADMIN: Caller = { kind: "user", name: "root", role: "admin" };
const AGENT: Caller = { kind: "agent", name: "h1" };
const CONTROLLER: Caller = { kind: "controller", name: "other" };

async function codeOf(
  caller: Caller,
  ask: (client: ReturnType<typeof createClient>) => Promise<unknown>,
): Promise<string> {
  const client = createClient(`127.0.0.1:${server.port}`, await certificates.tls(caller), {
    kind: "controller",
  });
  try {
    await ask(client);
    return "ok";
  } catch (error) {
    return error instanceof Fault ? error.code : String(error);
  } finally {
    client.close();
  }
}

const forceDown = (client: ReturnType<typeof createClient>) =>
  call(client, HostServiceService.forceHostDown, { name: "h2", forcedDown: true });
const beatAs = (host: string) => (client: ReturnType<typeof createClient>) =>
  call(client, FleetServiceService.heartbeat, HeartbeatRequest.fromPartial({ host }));

describe("calling a host down", () => {
  it.each([
    ["an administrator may", ADMIN, "unsupported"],
    ["a member may not", MEMBER, "permission-denied"],
    ["an agent may not", AGENT, "permission-denied"],
    ["a controller may not", CONTROLLER, "permission-denied"],
  ])("is what %s", async (_who, caller, code) => {
    expect(await codeOf(caller, forceDown)).toBe(code);
  });
});

describe("a heartbeat", () => {
  it("is an agent's, of its own host", async () => {
    expect(await codeOf(AGENT, beatAs("h1"))).toBe("ok");
    expect(await codeOf(AGENT, beatAs("h2"))).toBe("permission-denied");
    expect(await codeOf({ kind: "user", name: "h1", role: "admin" }, beatAs("h1"))).toBe("permission-denied");
    expect(await codeOf({ kind: "controller", name: "h1" }, beatAs("h1"))).toBe("permission-denied");
    expect(heard).toEqual(["h1"]);
  });
});
