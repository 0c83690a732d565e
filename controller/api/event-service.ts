/** EventService: what happened, and what happens. Members see what happens to their own servers. */

import { Fault } from "../../proto/fault.js";
import {
  type EventFilter,
  EventServiceService,
  type WatchEventsResponse,
} from "../../proto/gen/ferry/v1/event.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf, seesAll } from "../policy/policy.js";
import { type NotificationFilter, numbersOf, readNotifications } from "../store/notifications.js";
import type { Queries } from "../store/schema.js";
import type { Api } from "./api.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
const AT_ONCE = 200;
const LOOK_MS = 500;

export function eventService({ store: { queries }, servers, policy, clock }: Api): ServiceImplementation {
  const permitted = async (filter: EventFilter | undefined, caller: Caller): Promise<NotificationFilter> => {
    const { server = "", migration = "", host = "", type = "" } = filter ?? {};
    const { identity, path } = caller;
    const { owner, project } = { owner: ownerOf(identity), project: identity.project };
    // One that is gone is found by the id that it had.
    const known = server === "" ? undefined : await servers.show(server).catch(onlyUnknown);
    if (known !== undefined) policy.requireOwner(identity, path, known);
    return {
      ...(server === "" ? {} : { serverId: known?.id ?? server }),
      ...(migration === "" ? {} : { migrationId: migration }),
      ...(host === "" ? {} : { host }),
      ...(type === "" ? {} : { type }),
      ...(seesAll(identity) ? {} : { visibleTo: { owner, project } }),
    };
  };
  return implement<typeof EventServiceService>(EventServiceService, {
    listEvents: async ({ filter, after, limit }, caller) => {
      const wanted = await permitted(filter, caller);
      const { lost, newest } = await stand(queries, after);
      const range = { after, upTo: newest, limit: Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT) };
      const from = after === 0 ? "newest" : "oldest";
      const events = await readNotifications(queries, wanted, { ...range, from });
      return { events, lost: after === 0 ? 0 : lost };
    },
    watchEvents: async function* ({ filter, after }, caller): AsyncGenerator<WatchEventsResponse> {
      const wanted = await permitted(filter, caller);
      const { lost, newest } = await stand(queries, after ?? 0);
      let seen = after ?? newest;
      if (after !== undefined && after > 0 && lost > 0) yield { event: undefined, lost };
      while (!caller.signal.aborted) {
        // Asked first: whatever is numbered up to here is there to be read.
        const upTo = (await numbersOf(queries)).newest;
        const range = { after: seen, upTo, limit: AT_ONCE, from: "oldest" } as const;
        const events = await readNotifications(queries, wanted, range);
        for (const event of events) yield { event, lost: 0 };
        seen = events.length < AT_ONCE ? Math.max(seen, upTo) : (events.at(-1)?.number ?? upTo);
        if (events.length < AT_ONCE) await clock.sleep(LOOK_MS, caller.signal).catch(() => undefined);
      }
    },
  });
}

/** What is gone of what came after a number; refused when there is no such number yet. */
async function stand(queries: Queries, after: number): Promise<{ lost: number; newest: number }> {
  const { oldest, newest } = await numbersOf(queries);
  if (after > newest)
    throw new Fault("invalid-argument", `there is no event ${after} yet`, {
      have: `the newest is ${newest}`,
      need: `a number up to ${newest}`,
      fix: "begin anew: the store was perhaps restored from an older copy",
    });
  return { lost: Math.max(0, oldest - 1 - after), newest };
}

function onlyUnknown(error: unknown): undefined {
  if (error instanceof Fault && error.code === "not-found") return undefined;
  throw error;
}
