import { describe, expect, it } from "vitest";
import { judgeHosts, selectHosts } from "../../../controller/scheduler/scheduler.js";
import { asked, type HostSketch, host, SETTINGS } from "./sketch.js";

const roomFor = (mib: number) => ({ needed: new Map([["MEMORY_MB", mib]]) });
const moved = { sourceHost: "h1", ignoreHosts: ["h1"], ...roomFor(1024) };
const withMib = (name: string, mib: number, changes: HostSketch = {}) =>
  host(name, { inventories: { MEMORY_MB: mib }, ...changes });

const choose = (hosts: ReturnType<typeof host>[], changes: Parameters<typeof asked>[0] = {}, count = 99) =>
  selectHosts(hosts, asked({ ...moved, ...changes }), SETTINGS, { count, random: () => 0 });
const judge = (hosts: ReturnType<typeof host>[]) => judgeHosts(hosts, asked(moved), SETTINGS);

describe("a decision", () => {
  it("prefers the host with the most room", () => {
    expect(choose([withMib("h1", 4096), withMib("h2", 2048), withMib("h3", 8192)])).toEqual(["h3", "h2"]);
  });

  it("answers the best and as many alternates as may be tried", () => {
    const hosts = ["h2", "h3", "h4", "h5"].map((name, index) => withMib(name, 2048 * (index + 1)));
    expect(choose(hosts, {}, 3)).toEqual(["h5", "h4", "h3"]);
  });

  it("takes no host whose hook was not proven", () => {
    const unproven = withMib("h2", 4096, { problem: "restart libvirtd: hook not loaded" });
    expect(() => choose([unproven])).toThrow(/restart libvirtd: hook not loaded/);
  });

  it("names the hosts and what is against them when none will do", () => {
    expect(() => choose([withMib("h1", 4096), withMib("h2", 4096, { state: "down" })])).toThrow(
      /No valid host.*h1: .*h2: host h2 is down/,
    );
  });

  it("names a few hosts of many, so that the sentence can be read", () => {
    const hosts = Array.from({ length: 100 }, (_, index) => withMib(`h${index + 10}`, 10));
    expect(() => choose(hosts)).toThrow(/h10: .*h14: .*; and 95 hosts likewise/);
  });

  it("takes one of the best few where that is configured", () => {
    const hosts = ["h2", "h3", "h4"].map((name, index) => withMib(name, 2048 * (index + 1)));
    const pick = (random: number) =>
      selectHosts(
        hosts,
        asked(moved),
        { ...SETTINGS, host_subset_size: 2 },
        { count: 3, random: () => random },
      );
    expect(pick(0)).toEqual(["h4", "h3", "h2"]);
    expect(pick(0.99)).toEqual(["h3", "h4", "h2"]);
  });
});

describe("a dry run", () => {
  it("answers for every host, with every reason and the filter that gave it", () => {
    const bad = withMib("h2", 512, { state: "down", status: "disabled", disabledReason: "RAM fault" });
    const verdicts = judge([withMib("h1", 4096), bad]);
    expect(verdicts.map(verdict => verdict.ok)).toEqual([false, false]);
    const second = verdicts.find(verdict => verdict.host === "h2");
    expect(second?.reasons.map(reason => reason.message)).toEqual([
      "host h2 is down: its agent has stopped sending heartbeats",
      "host h2 has not enough memory",
      "host h2 is disabled: RAM fault",
    ]);
    expect(second?.refusedBy).toEqual(["ComputeFilter", "placement", "ComputeFilter"]);
  });

  it("says of each shortage what is there and what is needed", () => {
    const [verdict] = judge([withMib("h2", 512)]);
    expect(verdict?.reasons[0]).toMatchObject({ have: "512 MiB free (0 of 512 booked)", need: "1024 MiB" });
  });

  it("orders as the decision does", () => {
    const hosts = ["h2", "h3", "h4", "h5"].map((name, index) => withMib(name, 2048 + ((index * 977) % 5)));
    expect(judge(hosts).map(verdict => verdict.host)).toEqual(choose(hosts));
  });
});

describe("a requested host", () => {
  const hosts = [
    withMib("h1", 4096),
    withMib("h2", 4096),
    withMib("off", 4096, { status: "disabled" }),
    withMib("dead", 4096, { state: "down" }),
    withMib("new", 4096, { state: "unknown" }),
  ];
  const request =
    (requestedHost: string, force = false) =>
    () =>
      choose(hosts, { requestedHost, force });

  it("is the only one", () => expect(request("h2")()).toEqual(["h2"]));
  it("that is unknown is not found", () =>
    expect(request("h9")).toThrow("Compute host h9 could not be found."));
  it("that is disabled says so", () => expect(request("off")).toThrow("host off is disabled"));
  it("that is down says so", () => expect(request("dead")).toThrow("host dead is down"));
  it("that was not heard of yet says so", () => expect(request("new")).toThrow("has not been heard of"));
  it("that is the source says so", () =>
    expect(request("h1")).toThrow("Cannot migrate to the host where the server exists."));

  it("may be disabled when it is forced, but not down, full or the source", () => {
    expect(request("off", true)()).toEqual(["off"]);
    expect(request("dead", true)).toThrow("host dead is down");
    expect(request("h1", true)).toThrow("Cannot migrate to the host where the server exists.");
    expect(() => choose([withMib("h2", 10)], { requestedHost: "h2", force: true })).toThrow(
      /not enough memory/,
    );
  });
});
