/**
 * Whoever changes something that belongs to no server is on record with it, by gRPC or REST: what was asked is written before it
 * is done, and how it ended afterwards, so that nothing is done unrecorded. What is asked of servers and migrations is recorded
 * where it is decided (migration/actions.ts).
 */

import { asFault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import {
  AdminServiceService,
  type Change,
  FlavorServiceService,
  HostServiceService,
} from "../../proto/gen/ferry/v1/controller.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import {
  AggregateServiceService,
  PlacementServiceService,
  ServerGroupServiceService,
} from "../../proto/gen/ferry/v1/placement.js";
import type { Method } from "../../proto/rpc-client.js";
import type { Caller, ServiceImplementation } from "../../proto/rpc-server.js";
import { endChange, insertChange } from "../store/change-log.js";
import type { Api } from "./api.js";
import { requesterFrom } from "./requester-from.js";

/** What a request is about; undefined: it only looks. */
type Subject<M> =
  M extends Method<infer Request, infer _Response, false> ? (request: Request) => string | undefined : never;

/** By the full name of the method. */
type Subjects = ReadonlyMap<string, (request: never) => string | undefined>;

function about<Definition extends object>(
  definition: Definition,
  subjects: { readonly [Name in keyof Definition]?: Subject<Definition[Name]> },
): [string, (request: never) => string | undefined][] {
  const methods = new Map(Object.entries(definition) as [string, { readonly path: string }][]);
  return Object.entries(subjects).map(([name, subject]) => [
    methods.get(name)?.path ?? name,
    subject as never,
  ]);
}

export const CHANGES: Subjects = new Map([
  ...about(HostServiceService, {
    setHostStatus: ({ name }) => name,
    forceHostDown: ({ name }) => name,
  }),
  ...about(FlavorServiceService, {
    createFlavor: ({ flavor }) => flavor?.name ?? "",
    setExtraSpecs: ({ flavor }) => flavor,
    deleteFlavor: ({ flavor }) => flavor,
  }),
  ...about(AggregateServiceService, {
    createAggregate: ({ name }) => name,
    updateAggregate: ({ aggregate }) => aggregate,
    setAggregateMetadata: ({ aggregate }) => aggregate,
    addAggregateHost: ({ aggregate }) => aggregate,
    removeAggregateHost: ({ aggregate }) => aggregate,
    deleteAggregate: ({ aggregate }) => aggregate,
  }),
  ...about(ServerGroupServiceService, {
    createServerGroup: ({ name }) => name,
    deleteServerGroup: ({ group }) => group,
  }),
  ...about(PlacementServiceService, {
    setHostPlacement: ({ host }) => host,
    auditPlacement: ({ heal }) => (heal ? "" : undefined),
  }),
  ...about(AdminServiceService, {
    raiseEpochs: ({ planOnly }) => (planOnly ? undefined : ""),
    audit: ({ lookOnly }) => (lookOnly ? undefined : ""),
  }),
]);

type Handler = (request: never, caller: Caller) => Promise<unknown>;
type Deps = Pick<Api, "store" | "clock" | "newId">;

export function recordChanges(service: ServiceImplementation, deps: Deps): ServiceImplementation {
  const handlers = Object.entries(service.definition).map(([name, { path }]) => {
    const [handler, subject] = [service.handlers[name], CHANGES.get(path)];
    return [name, subject === undefined ? handler : recorded(handler as Handler, subject, deps)];
  });
  return { ...service, handlers: Object.fromEntries(handlers) };
}

const recorded =
  (carryOut: Handler, subjectOf: (request: never) => string | undefined, deps: Deps): Handler =>
  async (request, caller) => {
    const subject = subjectOf(request);
    if (subject === undefined) return carryOut(request, caller);
    const { clock, newId, store } = deps;
    const id = newId();
    await insertChange(store.queries, { id, ...changeOf(request, caller, deps), subject });
    const end = (fault?: FaultInfo) => endChange(store.queries, id, clock.nowMs(), fault);
    const answer = await carryOut(request, caller).catch(async (error: unknown) => {
      await end(toFaultInfo(asFault(error)));
      throw error;
    });
    await end();
    return answer;
  };

function changeOf(request: unknown, caller: Caller, { clock, newId }: Deps): Omit<Change, "subject"> {
  const { by: requestedBy, project, requestId } = requesterFrom(caller, newId);
  return {
    atMs: clock.nowMs(),
    requestedBy,
    project,
    requestId,
    method: caller.path.slice(caller.path.lastIndexOf("/") + 1),
    asked: wordsOf(request),
    endedAtMs: 0,
    fault: undefined,
  };
}

const MOST_LETTERS = 2_000;

/** Without what was left out. */
function wordsOf(request: unknown): string {
  const said = Object.entries(request as object).filter(([, value]) => !isEmpty(value));
  return JSON.stringify(Object.fromEntries(said)).slice(0, MOST_LETTERS);
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === "" || ["[]", "{}"].includes(JSON.stringify(value));
