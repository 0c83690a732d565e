/** `ferry server`: the virtual machines that Ferry manages, as they live on one host. */

import type { Command } from "commander";
import { ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import { wholeNumber } from "../arguments.js";
import { printable } from "../output/printable.js";
import { SERVER_COLUMNS, serverFields } from "../output/server-view.js";
import { present } from "../present.js";
import { requireYes } from "../question.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { addAdopt } from "./server-adopt.js";
import { addCheck } from "./server-check.js";
import { addCreate } from "./server-create.js";
import { addConfirm, addMigrate, addRevert } from "./server-migrate.js";
import { addResize } from "./server-resize.js";
import { addEvents, addLocks, addResetState } from "./server-words.js";

const START_MS = 60_000;
const DELETE_MS = 120_000;
const STOP_SECONDS = 60;

export function addServerCommands(program: Command, runner: Runner): void {
  const server = program.command("server").description("the virtual machines that Ferry manages");
  addCreate(server, runner);
  addAdopt(server, runner);
  addList(server, runner);
  server
    .command("show")
    .description("show a server")
    .argument("<server>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry server show web-3\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        const answer = await session.call(ServerServiceService.showServer, { server: name });
        printServer(session, present(answer.server, "a server"));
      }),
    );
  addStartAndStop(server, runner);
  addCheck(server, runner);
  addMigrate(server, runner);
  addResize(server, runner);
  addConfirm(server, runner);
  addRevert(server, runner);
  addEvents(server, runner);
  addLocks(server, runner);
  addResetState(server, runner);
  addDelete(server, runner);
}

function printServer(session: Session, server: Server): void {
  session.output.record(server, serverFields(server));
}

function addList(server: Command, runner: Runner): void {
  server
    .command("list")
    .description("list servers")
    .option("--host <host>", "only on this host", "")
    .option("--status <status>", "only in this status, e.g. ACTIVE, VERIFY_RESIZE", "")
    .addHelpText("after", "\nExamples:\n  ferry server list\n  ferry server list --status VERIFY_RESIZE\n")
    .action(
      runner.online(async (session, { host, status }: { readonly host: string; readonly status: string }) => {
        const { servers } = await session.call(ServerServiceService.listServers, { host, status });
        session.output.list(servers, SERVER_COLUMNS);
      }),
    );
}

const STOP_HELP = `
A guest that has not shut down by itself after --shutdown-timeout is switched off.

Example:
  ferry server stop web-3 --shutdown-timeout 120
`;

function addStartAndStop(server: Command, runner: Runner): void {
  server
    .command("start")
    .description("start a server")
    .argument("<server>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry server start web-3\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        const answer = await session.change(
          ServerServiceService.startServer,
          { server: name, noWait: false },
          START_MS,
        );
        printServer(session, present(answer.server, "a server"));
      }),
    );
  server
    .command("stop")
    .description("shut a server down")
    .argument("<server>", "name or id")
    .option("--shutdown-timeout <seconds>", "how long the guest may take", wholeNumber, STOP_SECONDS)
    .addHelpText("after", STOP_HELP)
    .action(
      runner.online(async (session, { shutdownTimeout }: { readonly shutdownTimeout: number }, name = "") => {
        const request = { server: name, timeoutSeconds: shutdownTimeout, noWait: false };
        const limitMs = START_MS + shutdownTimeout * 1000;
        const answer = await session.change(ServerServiceService.stopServer, request, limitMs);
        printServer(session, present(answer.server, "a server"));
        if (answer.note !== "") session.shell.writeError(`note: ${printable(answer.note)}\n`);
      }),
    );
}

function addDelete(server: Command, runner: Runner): void {
  server
    .command("delete")
    .description("delete a server and the disks that Ferry made for it")
    .argument("<server>", "name or id")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", "\nExample:\n  ferry server delete web-3 --yes\n")
    .action(
      runner.online(async (session, { yes = false }: { readonly yes?: boolean }, name = "") => {
        const question = `Delete server ${printable(name)} and its disks for ever?`;
        await requireYes(session.shell, { warning: "", question, yes });
        await session.change(ServerServiceService.deleteServer, { server: name, noWait: false }, DELETE_MS);
        session.output.say(`server ${printable(name)} deleted`);
      }),
    );
}
