/** How commands end when they cannot do what was asked: exit codes, words, and what stays unsaid. */

import { describe, expect, it } from "vitest";
import { FAULTS, Fault, type FaultCode } from "../../../proto/fault.js";
import { FakeController } from "./fake-controller.js";
import { run } from "./shell.js";

const controller = await FakeController.forThisFile();

describe("a failure", () => {
  it.each(Object.keys(FAULTS) as FaultCode[])("%s ends with the exit code of the table", async faultCode => {
    controller.answers.listHosts = () => Promise.reject(new Fault(faultCode, "why"));
    expect((await controller.ferry("host list")).code).toBe(FAULTS[faultCode].exit);
  });

  it("is one sentence, then have, need and fix", async () => {
    const detail = { have: "1 GiB", need: "2 GiB", fix: "another host" };
    controller.answers.listHosts = () => Promise.reject(new Fault("refused", "h2 is too small", detail));
    const { error, out } = await controller.ferry("host list");
    expect(out).toBe("");
    expect(error).toBe("ferry: h2 is too small\n  have: 1 GiB\n  need: 2 GiB\n  fix:  another host\n");
  });

  it("is JSON on standard error with -o json", async () => {
    controller.answers.listHosts = () => Promise.reject(new Fault("refused", "no", { fix: "f" }));
    const { error, out } = await controller.ferry("host list -o json");
    expect(out).toBe("");
    expect(JSON.parse(error)).toMatchObject({ fault: { code: "refused", message: "no", fix: "f" } });
  });

  it("cannot draw on the operator's terminal", async () => {
    controller.answers.listHosts = () =>
      Promise.reject(new Fault("refused", "\u001b[2J\u202egone\nferry: all is well"));
    expect((await controller.ferry("host list")).error).toBe("ferry: ?[2J?gone ferry: all is well\n");
  });

  it("for want of a controller is told as such", async () => {
    const { code, error } = await controller.ferry("host list --controller 127.0.0.1:1");
    expect(code).toBe(7);
    expect(error).toContain("127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n");
  });

  it("to answer in time ends with the timeout of the user", async () => {
    controller.answers.listHosts = (_request, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    expect(await controller.ferry("host list --timeout 1")).toMatchObject({
      code: 7,
      error: expect.stringContaining("no answer in time"),
    });
  });

  it("of a Ctrl-C ends with 130 and says what is not known", async () => {
    const interrupt = new AbortController();
    controller.answers.listHosts = async () => {
      interrupt.abort(new Fault("cancelled", "interrupted; what was asked for may still be done"));
      return await new Promise(() => undefined);
    };
    const ran = await controller.ferry("host list", { interrupted: interrupt.signal });
    expect(ran).toMatchObject({ code: 130, error: expect.stringContaining("may still be done") });
  });

  it("to have a configuration names the places", async () => {
    const { code, error } = await run(["host", "list"], { home: "/nonexistent" });
    expect(code).toBe(2);
    expect(error).toContain("/nonexistent/.config/ferry/client.toml or /etc/ferry/client.toml");
  });

  it.each([
    "server fly",
    "server list --colour",
    "server show",
    "-o yaml server list",
    "server migrate a --shutdown-timeout x",
  ])("of usage (%s) ends with 2 before anybody is asked", async words => {
    expect((await controller.ferry(words)).code).toBe(2);
    expect(controller.requests).toEqual([]);
  });
});
