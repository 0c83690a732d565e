/** `--wait`, `--watch` and `migration watch` against a controller that comes, goes and tells the end. */

import { beforeEach, describe, expect, it } from "vitest";
import type { Session } from "../../../cli/session.js";
import { followMigration } from "../../../cli/watch/follow-migration.js";
import { Fault } from "../../../proto/fault.js";
import { WatchMigrationResponse } from "../../../proto/gen/ferry/v1/controller.js";
import { FaultInfo, Migration, type Progress } from "../../../proto/gen/ferry/v1/model.js";
import { FakeController } from "./fake-controller.js";

const controller = await FakeController.forThisFile();
beforeEach(() => {
  controller.answers = {
    migrateServer: async () => ({ migration: at("pre-migrating"), verdicts: [] }),
    showMigration: async () => ({ migration: at("migrating") }),
  };
});

const at = (status: string, more: Partial<Migration> = {}): Migration =>
  Migration.create({
    id: "42",
    serverName: "web-3",
    status,
    sourceHost: "h1",
    targetHost: "h2",
    step: "copy-disks",
    ...more,
  });
const told = (status: string, event = "", more: Partial<Migration> = {}, atMs = 1_700_000_000_000) =>
  WatchMigrationResponse.create({ migration: at(status, more), event, atMs });
const progress = (doneBytes: number): { progress: Progress } => ({
  progress: {
    totalBytes: 2 ** 31,
    doneBytes,
    skippedBytes: 0,
    bytesPerSecond: 2 ** 26,
    etaMs: 15_000,
    files: [],
  },
});
const tell = (...messages: WatchMigrationResponse[]) => {
  controller.answers.watchMigration = async function* () {
    yield* messages;
  };
};
const watches = () => controller.requests.filter(({ method }) => method === "watchMigration");

describe("--wait", () => {
  it.each([
    ["finished", 0, "web-3 is on h2. Next: ferry server confirm web-3"],
    ["confirmed", 0, "web-3 stays on h2; what h1 kept of it is gone (migration 42)"],
    ["error", 5, "Migration 42 failed: no space on h2. web-3 is on h1, as it was"],
    ["stuck", 6, "Next: ferry migration recover 42 --plan"],
    ["reverted", 5, "web-3 is back on h1, as it was before (migration 42)"],
  ])("ends a migration that is %s with %i", async (status, code, sentence) => {
    const fault =
      status === "error" ? { fault: FaultInfo.create({ message: "no space on h2", fix: "make some" }) } : {};
    tell(told("migrating", "stop-source: done"), told(status, "the end", fault));
    const ran = await controller.ferry("server migrate web-3 --host h2 --wait");
    const [said, silent] = code === 0 ? [ran.out, ran.error] : [ran.error, ran.out];
    expect({ code: ran.code, silent }).toEqual({ code, silent: "" });
    expect(said).toContain(sentence);
    expect(said).not.toContain("stop-source");
    if (status === "error") expect(said).toContain("  fix:  make some\n");
  });

  it("ends a migration that never touched the guest with the exit code of the refusal", async () => {
    const step = { name: "stop-source", state: "pending", startedAtMs: 0, endedAtMs: 0, note: "" };
    const fault = FaultInfo.create({ code: "already-exists", message: "vda is there" });
    tell(told("error", "", { fault, steps: [step] }));
    expect(await controller.ferry("server migrate web-3 --wait")).toMatchObject({
      code: 4,
      out: "",
      error: "Migration 42 was refused: vda is there. web-3 is on h1 and was not touched\n",
    });
    tell(told("error", "", { fault, steps: [{ ...step, startedAtMs: 1 }] }));
    expect((await controller.ferry("server migrate web-3 --wait")).code).toBe(5);
  });

  it("answers the last state as JSON", async () => {
    tell(told("migrating"), told("finished", "", { downtimeMs: 4200 }));
    const { out } = await controller.ferry("server migrate web-3 --wait -o json");
    expect(JSON.parse(out)).toMatchObject({ status: "finished", downtimeMs: 4200 });
  });

  it("goes through the verify window for confirm and for revert", async () => {
    controller.answers.confirmServer = async () => ({ migration: at("confirming") });
    tell(told("finished"), told("confirming"), told("confirmed"));
    expect((await controller.ferry("server confirm web-3 --wait")).code).toBe(0);
    expect(watches().at(-1)?.request).toEqual({ id: "42", untilEnded: true });
    tell(told("reverted"));
    expect((await controller.ferry("server confirm web-3 --wait")).code).toBe(5);
  });
});

describe("--watch", () => {
  it("shows the story, and on a terminal one line of progress in place", async () => {
    tell(
      told("migrating", "stop-source: guest shut down"),
      told("migrating", "", progress(2 ** 30)),
      told("finished", "web-3 runs", { step: "" }),
    );
    const { out } = await controller.ferry("server migrate web-3 --watch", { isTerminal: true, width: 90 });
    expect(out).toBe(
      [
        "22:13:20Z  stop-source: guest shut down\n",
        "copy-disks …",
        "\r\u001b[2K",
        "copy-disks [##########----------]  50% 1 GiB of 2 GiB, 64 MiB/s, 15s left",
        "\r\u001b[2K",
        "22:13:20Z  web-3 runs\n",
        "web-3 is on h2. Next: ferry server confirm web-3, or ferry server revert web-3\n",
      ].join(""),
    );
  });

  it("elsewhere repeats progress as plain lines, now and then", async () => {
    const many = [1, 2, 3, 4, 5, 6].map(step => told("migrating", "", progress(step * 2 ** 28)));
    tell(...many, told("finished", "", { step: "" }));
    const { out } = await controller.ferry("server migrate web-3 --watch");
    expect(out.match(/copy-disks:/g)).toHaveLength(1);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("copy-disks: 12% 256 MiB of 2 GiB, 64 MiB/s, 15s left");
  });

  it("is one JSON object per line with -o json", async () => {
    tell(told("migrating", "a"), told("finished", "b"));
    const { out } = await controller.ferry("migration watch 42 -o json");
    const events = out
      .trim()
      .split("\n")
      .map(line => (JSON.parse(line) as WatchMigrationResponse).event);
    expect(events).toEqual(["a", "b"]);
  });

  it("survives a restart of the controller, and tells no line twice", async () => {
    const first = told("migrating", "stop-source: done");
    let begun = 0;
    controller.answers.watchMigration = async function* (_request, { signal }) {
      begun += 1;
      yield first;
      if (begun === 1) {
        queueMicrotask(() => void controller.restart());
        await new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason as Error)),
        );
      }
      yield told("finished", "release-target: done", { step: "" }, 1_700_000_005_000);
    };
    const { code, out, error } = await controller.ferry("server migrate web-3 --watch");
    expect({ code, begun }).toEqual({ code: 0, begun: 2 });
    expect(out.match(/stop-source: done/g)).toHaveLength(1);
    expect(out).toContain("release-target: done");
    expect(error).toBe("ferry: the connection is lost; the migration goes on; trying again\n");
  });

  it("begins again when the controller ends the stream too early", async () => {
    let begun = 0;
    controller.answers.watchMigration = async function* () {
      begun += 1;
      yield told(begun === 1 ? "migrating" : "finished");
    };
    expect((await controller.ferry("migration watch 42")).code).toBe(0);
    expect(begun).toBe(2);
  });

  it("gives up on a watch that breaks again and again without news", async () => {
    let nowMs = 0;
    const now = () => {
      nowMs += 1000;
      return new Date(nowMs);
    };
    const shell = { now, interrupted: new AbortController().signal };
    const stream = async function* () {
      yield told("migrating", "stop-source: done", {}, nowMs);
      throw new Fault("unreachable", "broken");
    };
    const lost: Fault[] = [];
    const options = {
      id: "42",
      untilEnded: false,
      onLost: (fault: Fault) => lost.push(fault),
      patienceMs: 2000,
    };
    const seen: string[] = [];
    const following = (async () => {
      const session = { shell, stream } as unknown as Session;
      for await (const { event } of followMigration(session, options)) seen.push(event);
    })();
    await expect(following).rejects.toMatchObject({ code: "unreachable" });
    expect(lost).toHaveLength(1);
    expect(seen).toHaveLength(3);
  });

  it("leaves the migration alone on Ctrl-C, and says so", async () => {
    const interrupt = new AbortController();
    controller.answers.watchMigration = async function* (_request, { signal }) {
      yield told("migrating", "stop-source: done");
      interrupt.abort(new Fault("cancelled", "interrupted"));
      await new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    };
    const ran = await controller.ferry("server migrate web-3 --watch", { interrupted: interrupt.signal });
    expect(ran.code).toBe(130);
    expect(ran.error).toBe(
      "The migration goes on without this command. ferry migration watch 42 shows it, ferry migration cancel 42 stops it.\n",
    );
    expect(controller.requests.map(({ method }) => method)).not.toContain("cancelMigration");
  });

  it("does not try again what was refused", async () => {
    controller.answers.showMigration = () => Promise.reject(new Fault("not-found", "no migration 43"));
    expect(await controller.ferry("migration watch 43")).toMatchObject({
      code: 9,
      error: "ferry: no migration 43\n",
    });
    controller.answers.showMigration = async () => ({ migration: at("migrating") });
    controller.answers.watchMigration = () => {
      throw new Fault("permission-denied", "not yours");
    };
    expect(await controller.ferry("migration watch 43")).toMatchObject({
      code: 8,
      error: "ferry: not yours\n",
    });
    expect(watches()).toHaveLength(1);
  });
});
