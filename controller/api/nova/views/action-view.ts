/** What was asked of a server, as Nova's instance actions. */

import type { ServerAction, ServerActionEvent } from "../../../../proto/gen/ferry/v1/model.js";
import { isAdmin, type NovaRequest } from "../route.js";
import { uuidOf } from "../stable-ids.js";
import { preciseTimeOf } from "../times.js";

export const actionSummary = ({ version }: NovaRequest, action: ServerAction) => ({
  action: action.action,
  instance_uuid: action.serverId,
  request_id: action.requestId,
  user_id: action.requestedBy.replace(/^user\//, ""),
  project_id: action.project || action.requestedBy.replace(/^user\//, ""),
  start_time: preciseTimeOf(action.startedAtMs),
  message: action.message || null,
  ...(version >= 58 ? { updated_at: preciseTimeOf(action.updatedAtMs) } : {}),
});

/** Events are for administrators, and since 2.51 also for the owner, who does not learn hosts and reasons. */
export function actionView(request: NovaRequest, action: ServerAction): object {
  const seen = isAdmin(request) || request.version >= 51;
  return {
    ...actionSummary(request, action),
    ...(seen ? { events: action.events.map(event => eventView(request, event)) } : {}),
  };
}

function eventView(request: NovaRequest, event: ServerActionEvent): object {
  const admin = isAdmin(request);
  return {
    event: event.event,
    start_time: preciseTimeOf(event.startedAtMs),
    finish_time: preciseTimeOf(event.finishedAtMs),
    result: event.result || null,
    ...(admin ? { traceback: event.details || null } : {}),
    ...(request.version >= 62
      ? { hostId: event.host === "" ? "" : uuidOf("host", event.host).replaceAll("-", "") }
      : {}),
    ...(request.version >= 62 && admin ? { host: event.host } : {}),
    ...(request.version >= 84 ? { details: event.details || null } : {}),
  };
}
