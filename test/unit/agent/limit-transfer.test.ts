/** A migration's bandwidth: obeyed at once, and again after a restart of the agent. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { limitAgain, limitTransfer } from "../../../agent/limit-transfer.js";
import type { Bandwidth } from "../../../agent/transfer/bandwidth.js";
import type { World } from "../../../agent/verbs/verb.js";
import { Certificates } from "../proto/certificates.js";
import { Host, SERVER } from "../verbs/host.js";

let certificates: Certificates;
let host: Host;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());
beforeEach(async () => {
  host = await Host.make("h1", certificates);
});
afterEach(() => host[Symbol.dispose]());

/** The host's journal, and what its transfers are told. */
function agent() {
  const told: [string, number][] = [];
  const bandwidth = { limitMigration: (...limit: [string, number]) => void told.push(limit) };
  const world: Pick<World, "bandwidth" | "documents"> = {
    documents: host.world.documents,
    bandwidth: bandwidth as unknown as Bandwidth,
  };
  return { told, world };
}

const request = { serverId: SERVER, migrationId: "m1", bytesPerSecond: 1024 };

describe("a limit on a migration's bandwidth", () => {
  it("is told to what is under way, and to what begins after a restart", () => {
    const before = agent();
    limitTransfer(request, before.world);
    expect(before.told).toEqual([["m1", 1024]]);
    const after = agent();
    limitAgain(request, after.world);
    expect(after.told).toEqual([["m1", 1024]]);
  });

  it("is no business of another migration", () => {
    limitTransfer(request, agent().world);
    const { told, world } = agent();
    limitAgain({ ...request, migrationId: "m2" }, world);
    expect(told).toEqual([]);
  });

  it("is refused once the migration is closed here", () => {
    const { told, world } = agent();
    world.documents.closeMigration("m1", "confirmed");
    expect(() => limitTransfer(request, world)).toThrow(/closed on this host \(confirmed\)/);
    expect(told).toEqual([]);
  });
});
