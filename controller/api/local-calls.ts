/**
 * Calls of the controller's own services from within: the REST face asks what gRPC callers ask, through the same policy
 * and the same handlers, so that no rule exists twice.
 */

import type { Method } from "../../proto/rpc-client.js";
import type { Caller, ServiceImplementation } from "../../proto/rpc-server.js";
import type { Policy } from "../policy/policy.js";

export type LocalCall = <Request, Response>(
  method: Method<Request, Response, false>,
  request: Request,
) => Promise<Response>;

export type LocalCaller = Omit<Caller, "path">;

type Handler = (request: unknown, caller: Caller) => Promise<unknown>;

export class LocalCalls {
  readonly #policy: Policy;
  readonly #handlers = new Map<string, Handler>();

  constructor(services: readonly ServiceImplementation[], policy: Policy) {
    this.#policy = policy;
    for (const { definition, handlers } of services) {
      for (const [name, { path }] of Object.entries(definition)) {
        const handler = handlers[name];
        if (handler !== undefined) this.#handlers.set(path, handler as Handler);
      }
    }
  }

  /** Calls in the name of one caller. */
  as(caller: LocalCaller): LocalCall {
    return async <Request, Response>({ path }: Method<Request, Response, false>, request: Request) => {
      const handler = this.#handlers.get(path);
      if (handler === undefined) throw new Error(`no handler for ${path}`);
      const admitted = { ...caller, path };
      this.#policy.admit(caller.identity, path);
      return (await handler(request, admitted)) as Response;
    };
  }
}
