/** An operation of a server ends whoever reads its files, and waits for it. */

import { describe, expect, it } from "vitest";
import { dispatchTo } from "../../../agent/dispatch.js";
import { Readings } from "../../../agent/readings.js";
import type { Call, World } from "../../../agent/verbs/verb.js";
import { PerformRequest } from "../../../proto/gen/ferry/v1/agent.js";

describe("a reading", () => {
  const never = new AbortController().signal;

  /** Ends when it is told to, and takes its time. */
  const slowly = (events: string[]) => async (signal: AbortSignal) => {
    await new Promise(resolve => signal.addEventListener("abort", resolve));
    await new Promise(resolve => setImmediate(resolve));
    events.push("closed");
    signal.throwIfAborted();
  };

  it("ends when its server is taken in hand, and is waited for", async () => {
    const readings = new Readings();
    const events: string[] = [];
    const reading = readings.begin("s1", never);
    const read = reading.during(slowly(events));
    read.catch(() => {});
    await readings.end("s1");
    events.push("operation");
    expect(events).toEqual(["closed", "operation"]);
    await expect(read).rejects.toMatchObject({ code: "conflict" });
    await expect(reading.during(async () => "the next file")).rejects.toMatchObject({ code: "conflict" });
  });

  it("is ended by every verb, before it does anything", async () => {
    const readings = new Readings();
    const events: string[] = [];
    readings
      .begin("s1", never)
      .during(slowly(events))
      .catch(() => {});
    const nothing = PerformRequest.create({ serverId: "s1" });
    const call = { serverId: "s1" } as Call;
    await expect(dispatchTo({ readings } as World)(nothing, call)).rejects.toThrow(/names no verb/);
    expect(events).toEqual(["closed"]);
  });

  it("holds nobody up between two files, nor when it is over, nor on another server", async () => {
    const readings = new Readings();
    using between = readings.begin("s1", never);
    await between.during(async () => "one file");
    await readings.end("s1");
    readings.begin("s1", never)[Symbol.dispose]();
    using other = readings.begin("s2", never);
    await readings.end("s1");
    expect(await other.during(async () => "read")).toBe("read");
  });
});
