/**
 * Runs on ctl: reads orders from standard input, gives them to the controller all at once, follows the stream of each migration as
 * the ferry command does, and writes one line of JSON for each that has come to rest.
 */

import { text } from "node:stream/consumers";
import { Output } from "../../../cli/output/output.js";
import { Session } from "../../../cli/session.js";
import type { Shell } from "../../../cli/shell.js";
import { followMigration } from "../../../cli/watch/follow-migration.js";
import { MigrateServerRequest, ServerServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../../proto/gen/ferry/v1/model.js";
import type { Followed, Order } from "./orders.js";

const CALL_MS = 120_000;

const shell: Shell = {
  write: words => process.stdout.write(words),
  writeError: words => process.stderr.write(words),
  isTerminal: false,
  width: 80,
  ask: () => Promise.resolve(undefined),
  environment: process.env,
  home: "/root",
  now: () => new Date(),
  interrupted: new AbortController().signal,
};
const session = new Session(shell, new Output(shell, "json"), {});

async function give({ server, verb, host, priority }: Order): Promise<Migration | undefined> {
  const service = ServerServiceService;
  if (verb === "confirm")
    return (await session.call(service.confirmServer, { server, migration: "" }, CALL_MS)).migration;
  if (verb === "revert") {
    const request = { server, migration: "", discardWrites: true };
    return (await session.call(service.revertServer, request, CALL_MS)).migration;
  }
  const request = MigrateServerRequest.fromPartial({ server, host, priority, readOnlyDrives: "carry" });
  return (await session.call(service.migrateServer, request, CALL_MS)).migration;
}

async function follow(order: Order, id: string): Promise<Followed> {
  let [status, messages, losses] = ["", 0, 0];
  const onLost = () => {
    losses += 1;
  };
  for await (const { migration } of followMigration(session, {
    id,
    untilEnded: order.verb !== "migrate",
    onLost,
  })) {
    status = migration?.status ?? status;
    messages += 1;
  }
  return { server: order.server, migration: id, status, messages, losses, problem: "" };
}

const failed = ({ server }: Order, error: unknown): Followed => ({
  server,
  migration: "",
  status: "",
  messages: 0,
  losses: 0,
  problem: String(error),
});

const orders = JSON.parse(await text(process.stdin)) as Order[];
const followed: Promise<void>[] = [];
for (const order of orders) {
  const given = await give(order).catch((error: unknown) => failed(order, error));
  const end = given && "problem" in given ? Promise.resolve(given) : follow(order, given?.id ?? "");
  const told = end.catch((error: unknown) => failed(order, error));
  followed.push(told.then(one => void process.stdout.write(`${JSON.stringify(one)}\n`)));
}
await Promise.all(followed);
session.close();
