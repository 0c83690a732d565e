/** Operations run once in effect: keys, epochs, tombstones, re-attachment and restarts. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Documents } from "../../../agent/journal/documents.js";
import { Guests } from "../../../agent/journal/guests.js";
import { Journal } from "../../../agent/journal/journal.js";
import { OperationRows } from "../../../agent/journal/operations.js";
import { type Dispatch, Operations } from "../../../agent/operations.js";
import { result } from "../../../agent/verbs/verb.js";
import { Fault } from "../../../proto/fault.js";
import type { PerformRequest, PerformResponse } from "../../../proto/gen/ferry/v1/agent.js";

let folder: string;
let journal: Journal;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-journal-"));
  journal = Journal.open(folder);
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

/** The agent's own clock. */
let nowMs = 0;
const never = new AbortController().signal;

const request = (key: string, change: Partial<PerformRequest> = {}): PerformRequest => ({
  key,
  serverId: "s1",
  migrationId: "m1",
  epoch: 1,
  term: 0,
  limitMs: 0,
  verb: { $case: "startDomain", value: {} },
  ...change,
});

function operationsOn(dispatch: Dispatch): Operations {
  return new Operations({
    journal,
    dispatch,
    rows: new OperationRows(journal, () => 0),
    guests: new Guests(journal),
    documents: new Documents(journal, () => 0),
    monotonicMs: () => nowMs,
  });
}

async function updatesOf(stream: AsyncIterable<PerformResponse>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { update } of stream) {
    if (update?.$case === "fault") seen.push(`fault ${update.value.code}`);
    else if (update?.$case === "note") seen.push(`note ${update.value}`);
    else if (update !== undefined) seen.push(update.$case);
  }
  return seen;
}

/** A dispatch that counts and waits until it is released or aborted. */
function gate() {
  const opened = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  let runs = 0;
  const dispatch: Dispatch = async (_request, call) => {
    runs += 1;
    started.resolve();
    const aborted = new Promise<never>((_, reject) =>
      call.signal.addEventListener("abort", () => reject(call.signal.reason), { once: true }),
    );
    await Promise.race([opened.promise, aborted]);
    return result();
  };
  return { dispatch, open: () => opened.resolve(), started: started.promise, runs: () => runs };
}

describe("an operation", () => {
  it("answers a repeated key from the journal, also after a restart", async () => {
    let runs = 0;
    const dispatch: Dispatch = async () => {
      runs += 1;
      return result({ refusals: [] });
    };
    expect(await updatesOf(operationsOn(dispatch).perform(request("k"), never))).toEqual(["result"]);
    expect(await updatesOf(operationsOn(dispatch).perform(request("k"), never))).toEqual(["result"]);
    expect(runs).toBe(1);
  });

  it("is attached to, not started again, while it runs", async () => {
    const door = gate();
    const operations = operationsOn(door.dispatch);
    const first = updatesOf(operations.perform(request("k"), never));
    await door.started;
    const second = updatesOf(operations.perform(request("k"), never));
    door.open();
    expect(await Promise.all([first, second])).toEqual([["result"], ["result"]]);
    expect(door.runs()).toBe(1);
  });

  it("goes on when its follower leaves", async () => {
    const door = gate();
    const operations = operationsOn(door.dispatch);
    const leaving = new AbortController();
    const left = updatesOf(operations.perform(request("k"), leaving.signal));
    await door.started;
    leaving.abort();
    expect(await left).toEqual([]);
    door.open();
    expect(await updatesOf(operations.perform(request("k"), never))).toEqual(["result"]);
    expect(door.runs()).toBe(1);
  });

  it("refuses the same key with another request", async () => {
    const operations = operationsOn(async () => result());
    await updatesOf(operations.perform(request("k"), never));
    const other = request("k", { verb: { $case: "deleteDomain", value: {} } });
    expect(await updatesOf(operations.perform(other, never))).toEqual(["fault invalid-argument"]);
  });

  it("may be tried again after it failed", async () => {
    let runs = 0;
    const operations = operationsOn(async () => {
      runs += 1;
      if (runs === 1) throw new Fault("out-of-space", "full");
      return result();
    });
    expect(await updatesOf(operations.perform(request("k"), never))).toEqual(["fault out-of-space"]);
    expect(await updatesOf(operations.perform(request("k"), never))).toEqual(["result"]);
  });

  it("found unfinished at start is interrupted, not resumed", async () => {
    const door = gate();
    const before = operationsOn(door.dispatch);
    void updatesOf(before.perform(request("k"), never));
    await door.started;
    const after = operationsOn(async () => result());
    expect(after.find("k").state).toBe("interrupted");
    door.open();
  });
});

describe("a request", () => {
  const stop = { $case: "withdrawTarget", value: { afterRun: false, peerHost: "h1" } } as const;
  it.each([
    ["a server whose id is a path", { serverId: "../s1" }],
    ["a migration whose id is a path", { migrationId: "m1/../m2" }],
    ["an epoch before the first", { epoch: 0 }],
    ["a migration's verb without a migration", { migrationId: "", verb: stop }],
  ])("that names %s is refused", async (_name, change) => {
    const operations = operationsOn(async () => result());
    expect(await updatesOf(operations.perform(request("k", change), never))).toEqual([
      "fault invalid-argument",
    ]);
  });
});

describe("an epoch", () => {
  it("older than the highest seen is refused, also after a restart", async () => {
    await updatesOf(operationsOn(async () => result()).perform(request("k2", { epoch: 5 }), never));
    const reborn = operationsOn(async () => result());
    expect(await updatesOf(reborn.perform(request("k1", { epoch: 4 }), never))).toEqual([
      "fault stale-epoch",
    ]);
  });

  it("newer than a running operation's aborts and awaits that one first", async () => {
    const order: string[] = [];
    const started = Promise.withResolvers<void>();
    const dispatch: Dispatch = async (asked, call) => {
      if (asked.key === "new") {
        order.push("new ran");
        return result();
      }
      started.resolve();
      await new Promise(resolve => call.signal.addEventListener("abort", resolve, { once: true }));
      // What is under way takes its time to end, longer than anything that does not wait for it.
      for (let turns = 0; turns < 20; turns += 1) await turn();
      order.push("old let go");
      throw call.signal.reason;
    };
    const operations = operationsOn(dispatch);
    const old = updatesOf(operations.perform(request("old", { epoch: 1 }), never));
    await started.promise;
    expect(await updatesOf(operations.perform(request("new", { epoch: 2 }), never))).toEqual(["result"]);
    expect(await old).toEqual(["fault stale-epoch"]);
    expect(order).toEqual(["old let go", "new ran"]);
  });
});

describe("a term", () => {
  it("newer than a running operation's goes on with that one", async () => {
    const begun: string[] = [];
    const ending = Promise.withResolvers<void>();
    const operations = operationsOn(async asked => {
      begun.push(asked.key);
      await ending.promise;
      return result();
    });
    const before = updatesOf(operations.perform(request("copy", { term: 1 }), never));
    const after = updatesOf(operations.perform(request("copy", { term: 2 }), never));
    await turn();
    ending.resolve();
    expect([await before, await after]).toEqual([["result"], ["result"]]);
    expect(begun).toEqual(["copy"]);
  });

  it("older than the latest seen is refused, also after a restart", async () => {
    await updatesOf(operationsOn(async () => result()).perform(request("new", { term: 2 }), never));
    const operations = operationsOn(async () => result());
    expect(await updatesOf(operations.perform(request("old", { term: 1 }), never))).toEqual([
      "fault stale-epoch",
    ]);
  });

  it("of one who asks for what is done is the latest from then on, and what is done is answered to the one before", async () => {
    const operations = operationsOn(async () => result());
    await updatesOf(operations.perform(request("done", { term: 1 }), never));
    expect(await updatesOf(operations.perform(request("done", { term: 2 }), never))).toEqual(["result"]);
    expect(await updatesOf(operations.perform(request("done", { term: 1 }), never))).toEqual(["result"]);
    expect(await updatesOf(operations.perform(request("other", { term: 1 }), never))).toEqual([
      "fault stale-epoch",
    ]);
  });

  it("counts anew with every epoch", async () => {
    const operations = operationsOn(async () => result());
    await updatesOf(operations.perform(request("one", { epoch: 1, term: 7 }), never));
    expect(await updatesOf(operations.perform(request("two", { epoch: 2, term: 0 }), never))).toEqual([
      "result",
    ]);
  });
});

describe("a closed migration", () => {
  it("may be closed once more in the same way: the answer may have been lost with the agent", async () => {
    new Documents(journal, () => 0).closeMigration("m1", "confirmed");
    const operations = operationsOn(async () => result());
    const close = (key: string, outcome: string) =>
      request(key, { verb: { $case: "closeMigration", value: { outcome } } });
    expect(await updatesOf(operations.perform(close("k1", "confirmed"), never))).toEqual(["result"]);
    expect(await updatesOf(operations.perform(close("k2", "reverted"), never))).toEqual([
      "fault stale-epoch",
    ]);
  });

  it("refuses every further operation at any epoch", async () => {
    new Documents(journal, () => 0).closeMigration("m1", "reverted");
    const operations = operationsOn(async () => result());
    expect(await updatesOf(operations.perform(request("k", { epoch: 99 }), never))).toEqual([
      "fault stale-epoch",
    ]);
  });
});

function openDamaged(stateDir: string): void {
  try {
    Journal.open(stateDir).close();
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).message).toMatch(/damaged|newer Ferry/);
  }
}

describe("the journal", () => {
  it("gives documents back as they were, bytes too", () => {
    const documents = new Documents(journal, () => 0);
    const body = { name: "x", folders: [{ nonce: Buffer.from([1, 2, 3]), empty: Buffer.alloc(0) }] };
    documents.put("s1", "m1", "final", body);
    expect(documents.get("s1", "m1", "final")).toEqual(body);
  });

  it("that is damaged anywhere is refused with a reason, or read without what is gone", () => {
    journal.close();
    const path = join(folder, "journal.db");
    const whole = readFileSync(path);
    for (let round = 0; round < 60; round += 1) {
      const damaged = Buffer.from(whole);
      // What every reader looks at first, and anywhere.
      const at = round % 2 === 0 ? round : Math.floor((round / 60) * damaged.length);
      damaged.fill(0xa5, at, at + 8 * (1 + (round % 7)));
      for (const rest of ["-wal", "-shm"]) rmSync(`${path}${rest}`, { force: true });
      writeFileSync(path, damaged);
      openDamaged(folder);
    }
    writeFileSync(path, whole);
    journal = Journal.open(folder);
  });

  it("in use by another agent is refused with a reason", () => {
    expect(() => Journal.open(folder)).toThrow(/in use by another ferry-agent/);
  });
});

describe("an operation that waits for another one of its server", () => {
  it("is not begun once its time has passed, and is when it is asked for again", async () => {
    const first = gate();
    const operations = operationsOn(first.dispatch);
    const running = updatesOf(operations.perform(request("one"), never));
    await first.started;
    const late = updatesOf(operations.perform(request("two", { limitMs: 1000 }), never));
    nowMs += 1000;
    first.open();
    expect(await running).toEqual(["result"]);
    expect(await late).toEqual(["fault timeout"]);
    expect([first.runs(), operations.find("two").state]).toEqual([1, "unknown"]);
    expect(await updatesOf(operations.perform(request("two", { limitMs: 1000 }), never))).toEqual(["result"]);
    expect(first.runs()).toBe(2);
  });

  it("is begun in time, however long it then takes", async () => {
    const first = gate();
    const operations = operationsOn(first.dispatch);
    const running = updatesOf(operations.perform(request("one", { limitMs: 1000 }), never));
    await first.started;
    nowMs += 5000;
    first.open();
    expect(await running).toEqual(["result"]);
  });
});
