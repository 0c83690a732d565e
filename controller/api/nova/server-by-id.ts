/** The server that a path names. By id: a name is no address in Nova, and 404 is what makes its clients look the name up. */

import { ServerServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import type { Server } from "../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "./nova-error.js";
import type { NovaRequest } from "./route.js";

export async function serverById({ call, params }: Pick<NovaRequest, "call" | "params">): Promise<Server> {
  const id = params.id ?? "";
  const { server } = await call(ServerServiceService.showServer, { server: id });
  if (server === undefined || server.id !== id)
    throw new NovaError(404, `Instance ${id} could not be found.`);
  return server;
}
