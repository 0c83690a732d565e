import { describe, expect, it } from "vitest";
import type { ScheduleRequest } from "../../../controller/scheduler/filter.js";
import { chosenHosts, schedule } from "../../../controller/scheduler/schedule.js";
import { Host } from "../../../proto/gen/ferry/v1/model.js";

const host = (name: string, changes: Partial<Host> = {}, freeMib = 4096): Host =>
  Host.fromPartial({
    name,
    state: "up",
    status: "enabled",
    inventories: [{ resourceClass: "MEMORY_MB", total: freeMib, allocationRatio: 1 }],
    ...changes,
  });

const asked = (changes: Partial<ScheduleRequest> = {}): ScheduleRequest => ({
  needed: new Map([["MEMORY_MB", 1024]]),
  sourceHost: "h1",
  mayStay: false,
  requestedHost: "",
  force: false,
  ignoreHosts: [],
  ...changes,
});

const choose = (hosts: Host[], request = asked()) => chosenHosts(schedule(hosts, request), request);

describe("a schedule", () => {
  it("prefers the host with the most room", () => {
    expect(choose([host("h1"), host("h2", {}, 2048), host("h3", {}, 8192)])).toEqual(["h3", "h2"]);
  });

  it("answers for every host, with every reason", () => {
    const hosts = [
      host("h1"),
      host("h2", { state: "down", status: "disabled", disabledReason: "RAM fault" }, 512),
    ];
    const verdicts = schedule(hosts, asked());
    expect(verdicts.map(verdict => verdict.ok)).toEqual([false, false]);
    expect(verdicts.find(verdict => verdict.host === "h2")?.reasons.map(reason => reason.message)).toEqual([
      "host h2 is disabled: RAM fault",
      "host h2 is down: its agent has stopped sending heartbeats",
      "host h2 has not enough memory",
    ]);
  });

  it("says of each shortage what is there and what is needed", () => {
    const [verdict] = schedule([host("h2", {}, 512)], asked());
    expect(verdict?.reasons[0]).toMatchObject({ have: "512 MiB free (0 of 512 booked)", need: "1024 MiB" });
  });

  it("takes no host whose hook was not proven", () => {
    const unproven = host("h2", { hookProblem: "restart libvirtd: hook not loaded" });
    expect(() => choose([unproven])).toThrow(/restart libvirtd: hook not loaded/);
  });

  it("names every host when none will do", () => {
    expect(() => choose([host("h1"), host("h2", { state: "down" })])).toThrow(
      /No valid host.*h1: .*h2: host h2 is down/,
    );
  });
});

describe("a requested host", () => {
  const hosts = [
    host("h1"),
    host("h2"),
    host("off", { status: "disabled" }),
    host("dead", { state: "down" }),
    host("new", { state: "unknown" }),
  ];
  const request = (requestedHost: string) => () => choose(hosts, asked({ requestedHost }));

  it("is the only one", () => expect(request("h2")()).toEqual(["h2"]));
  it("that is unknown is not found", () =>
    expect(request("h9")).toThrow("Compute host h9 could not be found."));
  it("that is disabled says so", () => expect(request("off")).toThrow("host off is disabled"));
  it("that is down says so", () => expect(request("dead")).toThrow("host dead is down"));
  it("that was not heard of yet says so", () => expect(request("new")).toThrow("has not been heard of"));
  it("that is the source says so", () =>
    expect(request("h1")).toThrow("Cannot migrate to the host where the server exists."));
});
