/** A check asks what a migration would ask, says what every host answers, and leaves nothing behind. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AgentPort } from "../../controller/fleet/agent-port.js";
import { checkServer, FLEET_CHECKS } from "../../controller/migration/check-server.js";
import { listAllocations } from "../../controller/store/allocations.js";
import { Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

const check = (host = "", signal = new AbortController().signal) =>
  checkServer(
    { server: WEB, host, networkMap: {}, readOnlyDrives: "", crossCell: false },
    center.controller.deps,
    signal,
  );

const lacking = toFaultInfo(
  new Fault("refused", "the target has too little memory", { have: "1", need: "2" }),
);

/** `host check: outcome` of all that is not ok. */
async function objections(host = ""): Promise<string[]> {
  const { hosts } = await check(host);
  return hosts.flatMap(verdict =>
    verdict.checks
      .filter(({ outcome }) => outcome !== "ok")
      .map(({ name, outcome }) => `${verdict.host} ${name}: ${outcome}`),
  );
}

describe("a check of a server", () => {
  it("asks every host but its own, and says what the copy would take", async () => {
    const { hosts, refusals } = await check();
    expect(refusals).toEqual([]);
    expect(hosts.map(({ host, ok }) => [host, ok])).toEqual([
      ["h2", true],
      ["h3", true],
    ]);
    expect(hosts[0]?.estimate).toEqual({
      bytes: 2 * 1_048_576,
      bytesPerSecond: 1_048_576,
      copySeconds: 2,
      unknown: "",
    });
    expect(hosts[0]?.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(Object.keys(FLEET_CHECKS)),
    );
  });

  it("asks source and targets alike about disks on block devices", async () => {
    const { agent, ...deps } = center.controller.deps;
    const asked: (string | undefined)[] = [];
    const heard: Pick<AgentPort, "describeSource" | "checkTarget" | "measurePath"> = {
      async describeSource(host, request) {
        asked.push(request.blockDisks);
        return agent.describeSource(host, request);
      },
      async checkTarget(host, request) {
        asked.push(request.prepare?.blockDisks);
        return agent.checkTarget(host, request);
      },
      measurePath: (host, request) => agent.measurePath(host, request),
    };
    const question = { server: WEB, host: "", networkMap: {}, readOnlyDrives: "", crossCell: false };
    const ask = (blockDisks: string) =>
      checkServer(
        { ...question, blockDisks },
        { ...deps, agent: Object.assign(Object.create(agent), heard) },
        new AbortController().signal,
      );
    await ask("copy");
    expect(asked).toEqual(["copy", "copy", "copy"]);
    await expect(ask("move")).rejects.toThrow(/cannot be treated by "move"/);
  });

  it("books nothing, takes no lock and begins no operation", async () => {
    const { queries } = center.store;
    const before = await listAllocations(queries);
    const calls = center.agents.calls.length;
    await check();
    expect(await listAllocations(queries)).toEqual(before);
    expect(center.agents.calls.slice(calls)).toEqual([]);
    expect(await center.controller.migrations.list()).toEqual([]);
    expect(await center.server()).toMatchObject({ taskState: "", status: "ACTIVE" });
  });

  it("gives a target's own reasons, and does not hold them against the others", async () => {
    center.agents.agent("h2").refusals = [lacking];
    expect(await objections()).toEqual(["h2 definition: refused"]);
    const { hosts } = await check("h2");
    expect(hosts).toMatchObject([{ host: "h2", ok: false }]);
  });

  it("takes a host that does not answer for unknown, not for good", async () => {
    center.agents.agent("h3").isReachable = false;
    expect(await objections()).toEqual(["h3 agent: unknown"]);
    const { hosts } = await check("h3");
    expect(hosts).toMatchObject([{ ok: false, estimate: { unknown: "the host was not asked" } }]);
  });

  it("refuses a target whose data port the source does not reach, and does not guess a time", async () => {
    center.agents.troubles.push({ verb: "measure_path", host: "h2", kind: "fail" });
    expect(await objections()).toEqual(["h2 transfer-path: unknown"]);
    const { hosts } = await check("h2");
    expect(hosts[0]?.estimate).toMatchObject({
      copySeconds: undefined,
      unknown: expect.stringMatching(/path/),
    });
  });

  it("refuses the host where the server is, without asking it", async () => {
    expect(await objections("h1")).toEqual(["h1 scheduler: refused"]);
  });

  it("knows no host that is not there", async () => {
    await expect(check("h9")).rejects.toThrow("Compute host h9 could not be found.");
  });
});
