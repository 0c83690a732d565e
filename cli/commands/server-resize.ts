/** `ferry server resize`: another flavor, on another host or, where the operator allows it, on its own. */

import type { Command } from "commander";
import { ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Runner } from "../runner.js";
import {
  addMoveOptions,
  concludeMove,
  MOVE_MS,
  type MoveOptions,
  moveRequest,
  QUEUE_HELP,
} from "./server-move.js";

interface ResizeOptions extends MoveOptions {
  readonly flavor: string;
}

const RESIZE_HELP = `
The server moves to a host with room for the flavor, which the scheduler chooses, and becomes that size on the way:
vCPUs, memory, a larger root or ephemeral disk, swap made anew. Disks never shrink. A revert brings back the old
sizes with the old data. Its own host counts as well if controller.toml says allow_resize_to_same_host = true.

${QUEUE_HELP}

Examples:
  ferry server resize web-3 --flavor m1.large --dry-run
  ferry server resize web-3 --flavor m1.large --watch
  ferry server resize web-3 --flavor m1.large --wait && ferry server confirm web-3
`;

export function addResize(server: Command, runner: Runner): void {
  const command = server
    .command("resize")
    .description("give a server another flavor (cold: it is stopped and moved meanwhile)")
    .argument("<server>", "name or id")
    .requiredOption("--flavor <flavor>", "name or id of what it becomes");
  addMoveOptions(command)
    .addHelpText("after", RESIZE_HELP)
    .action(
      runner.online(async (session, options: ResizeOptions, name = "") => {
        const request = { server: name, flavor: options.flavor, ...moveRequest(options) };
        const answer = await session.change(ServerServiceService.resizeServer, request, MOVE_MS);
        return concludeMove(session, answer, options);
      }),
    );
}
