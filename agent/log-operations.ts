/** Every operation in the log, when it begins and how it ended: what an operator reads when a server is moved. */

import type { Logger } from "pino";
import { asFault } from "../proto/fault.js";
import type { Dispatch } from "./operations.js";

export function logged(dispatch: Dispatch, log: Logger): Dispatch {
  return async (request, call) => {
    const { serverId: server, migrationId: migration, epoch } = request;
    const facts = { verb: request.verb?.$case, server, migration, epoch };
    log.info(facts, "operation begun");
    try {
      const result = await dispatch(request, call);
      log.info({ ...facts, refusals: result.refusals.map(({ message }) => message) }, "operation done");
      return result;
    } catch (error) {
      log.warn({ ...facts, fault: asFault(error).message }, "operation failed");
      throw error;
    }
  };
}
