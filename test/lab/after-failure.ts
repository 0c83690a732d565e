/** The two good ends of a migration in which something went wrong, each checked from outside Ferry. */

import { expect } from "vitest";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import type { Host } from "./lab.js";
import type { LabServer } from "./lab-server.js";
import { NO_TRACES, type Traces, tracesOf } from "./traces.js";

export interface Journey {
  readonly source: Host;
  readonly target: Host;
}

/** It finished: one copy runs, on the target, with its data; once confirmed the source holds nothing of it. */
export async function expectArrived(
  server: LabServer,
  id: string,
  { source, target }: Journey,
  boots = 2,
): Promise<Migration> {
  const migration = await server.rested(id);
  expect(migration, `${server.name}: ${migration.fault?.message}`).toMatchObject({
    status: "finished",
    targetHost: target,
  });
  await server.processOn(target);
  await server.dataIntact(target, boots);
  await server.imageIntact(target);
  await server.confirm();
  expect(await tracesOf(server, source)).toMatchObject(NO_TRACES);
  const { files } = await tracesOf(server, target);
  expect(files.filter(name => /\.(part|fenced|dropped)-/.test(name))).toEqual([]);
  return migration;
}

export interface Before {
  readonly source: Traces;
  readonly target: Traces;
}

export async function tracesBefore(server: LabServer, { source, target }: Journey): Promise<Before> {
  return { source: await tracesOf(server, source), target: await tracesOf(server, target) };
}

/** It was taken back: one copy runs, on the source, and both hosts are as they were. */
export async function expectTakenBack(
  server: LabServer,
  id: string,
  { source, target }: Journey,
  before: Before,
): Promise<Migration> {
  const migration = await server.rested(id);
  expect(migration, server.name).toMatchObject({ status: "error", direction: "ended" });
  await server.processOn(source);
  await server.imageIntact(source);
  expect(await tracesOf(server, source)).toEqual(before.source);
  // That the target was told to refuse this server is kept there.
  expect(await tracesOf(server, target)).toEqual({
    ...before.target,
    verdict: expect.not.stringMatching("allow"),
  });
  return migration;
}
