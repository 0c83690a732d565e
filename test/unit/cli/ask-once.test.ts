/** Changes that are asked for across a lost connection: one request, under one id. */

import { describe, expect, it } from "vitest";
import { Fault } from "../../../proto/fault.js";
import type { MigrateServerRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { Migration } from "../../../proto/gen/ferry/v1/model.js";
import { FakeController } from "./fake-controller.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const controller = await FakeController.forThisFile();
const migration = Migration.create({ id: "42", serverName: "web-3", status: "pre-migrating" });
const ids = () => controller.requests.map(({ request }) => (request as MigrateServerRequest).requestId);

/** The controller is gone amid the call, so often; then it answers. */
function dropAnswers(count: number): void {
  let left = count;
  controller.answers.migrateServer = async () => {
    if (left === 0) return { migration, verdicts: [] };
    left -= 1;
    void controller.restart();
    return new Promise<never>(() => undefined);
  };
}

describe("a change whose answer was lost", () => {
  it("is asked for again under the same id, and said so once", async () => {
    dropAnswers(2);
    const { code, error, out } = await controller.ferry("server migrate web-3");
    expect(error).toBe("ferry: the connection is lost; asking again, for the same\n");
    expect([code, out]).toEqual([0, expect.stringContaining("42")]);
    expect(ids()).toEqual([expect.stringMatching(UUID), ids()[0], ids()[0]]);
  });

  it("says where to look when there is no answer in time", async () => {
    controller.answers.migrateServer = () => new Promise<never>(() => undefined);
    const { code, error } = await controller.ferry("server migrate web-3 --timeout 1");
    expect(code).toBe(7);
    expect(error).toContain(`fix:  it may have been begun: look for req-${ids()[0]} in ferry server events`);
    expect(ids()).toHaveLength(1);
  });
});

describe("a change that was answered", () => {
  it.each([
    new Fault("unreachable", "Service is unavailable at this time.", { fix: "look at ferry-agent" }),
    new Fault("conflict", "it is busy"),
  ])("with a no (%s) is not asked for again", async fault => {
    controller.answers.migrateServer = () => Promise.reject(fault);
    const { error } = await controller.ferry("server migrate web-3");
    expect(error).toContain(fault.message);
    expect(error).not.toContain("may have been begun");
    expect(ids()).toHaveLength(1);
  });

  it("is another one the next time", async () => {
    controller.answers.migrateServer = async () => ({ migration, verdicts: [] });
    await controller.ferry("server migrate web-3");
    await controller.ferry("server migrate web-3");
    expect(new Set(ids()).size).toBe(2);
  });
});

it("a controller that cannot be reached is not waited for", async () => {
  const { code, error } = await controller.ferry("server migrate web-3 --controller 127.0.0.1:1");
  expect([code, error]).toEqual([7, expect.stringContaining("ECONNREFUSED")]);
  expect(error).not.toContain("may have been begun");
});
