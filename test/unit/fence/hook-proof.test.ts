/** The self-test of the hook, and how long its answer is good. */

import { describe, expect, it } from "vitest";
import { HOOK_NOT_LOADED, proveHook } from "../../../agent/fence/hook-proof.js";
import { HookWatch, type HookWatchEdges } from "../../../agent/fence/hook-watch.js";
import type { DomainSummary } from "../../../agent/os/hypervisor.js";
import { Fault } from "../../../proto/fault.js";

/** A daemon that calls the hook, or not. */
class Daemon {
  callsHook = true;
  defined: string | undefined;
  running = false;
  reason = "";
  tell: (state: "lost" | "restored") => void = () => {};
  beforeStart: () => void = () => {};

  get edges(): HookWatchEdges {
    return {
      clock: () => 7,
      guestFiles: {
        deny: async (_server, reason) => {
          this.reason = reason;
        },
      },
      hypervisor: {
        define: async xml => {
          this.defined = xml;
          return xml;
        },
        start: async () => {
          this.beforeStart();
          if (this.callsHook) throw new Fault("failed", `Hook script execution failed: ${this.reason}`);
          this.running = true;
        },
        destroy: async () => {
          this.running = false;
        },
        undefine: async () => {
          this.defined = undefined;
        },
        findDomain: async () =>
          this.defined === undefined
            ? undefined
            : ({ state: this.running ? "paused" : "shut-off" } as DomainSummary),
        onConnection: listener => {
          this.tell = listener;
          return () => {
            this.tell = () => {};
          };
        },
      },
    };
  }
}

describe("the self-test", () => {
  it("is proven by a refusal in the hook's own words, and leaves nothing", async () => {
    const daemon = new Daemon();
    expect(await proveHook(daemon.edges)).toEqual({ proven: true, at: 7 });
    expect(daemon.defined).toBeUndefined();
  });

  it("finds a hook that is not called, and ends what it started", async () => {
    const daemon = new Daemon();
    daemon.callsHook = false;
    expect(await proveHook(daemon.edges)).toEqual({ proven: false, problem: HOOK_NOT_LOADED });
    expect([daemon.defined, daemon.running]).toEqual([undefined, false]);
  });

  it("does not take another refusal for the hook's", async () => {
    const daemon = new Daemon();
    daemon.beforeStart = () => {
      throw new Fault("failed", "no emulator");
    };
    const proof = await proveHook(daemon.edges);
    expect(proof).toMatchObject({ proven: false, problem: expect.stringContaining("no emulator") });
  });

  it("does not take last time's refusal for this time's", async () => {
    const daemon = new Daemon();
    await proveHook(daemon.edges);
    const stale = daemon.reason;
    daemon.beforeStart = () => {
      throw new Fault("failed", stale);
    };
    expect(await proveHook(daemon.edges)).toMatchObject({ proven: false });
  });
});

describe("what is known about the hook", () => {
  it("is nothing before the first self-test and after the connection is lost, and is found again", async () => {
    const daemon = new Daemon();
    using watch = new HookWatch(daemon.edges);
    expect(() => watch.requireProof()).toThrow(/not been proven/);
    await watch.prove();
    watch.requireProof();
    daemon.tell("lost");
    expect(() => watch.requireProof()).toThrow(/does not answer/);
    daemon.callsHook = false;
    daemon.tell("restored");
    expect(await watch.prove()).toEqual({ proven: false, problem: HOOK_NOT_LOADED });
    expect(() => watch.requireProof()).toThrow(/restart libvirtd/);
  });

  it("is not a no while the daemon is away, also when it goes in the middle of the self-test", async () => {
    const daemon = new Daemon();
    using watch = new HookWatch(daemon.edges);
    await watch.prove();
    daemon.tell("lost");
    expect(watch.proof).toMatchObject({ proven: false, pending: true });
    daemon.beforeStart = () => {
      throw new Fault("unreachable", "the connection was lost");
    };
    expect(await watch.prove()).toMatchObject({ proven: false, pending: true });
    daemon.beforeStart = () => {
      throw new Fault("failed", "no emulator");
    };
    expect(await watch.prove()).not.toHaveProperty("pending", true);
  });

  it("forgets a proof of the daemon before", async () => {
    const daemon = new Daemon();
    using watch = new HookWatch(daemon.edges);
    daemon.beforeStart = () => daemon.tell("lost");
    expect(await watch.prove()).toMatchObject({ proven: false });
  });
});
