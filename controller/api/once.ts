/** Handlers of requests that are carried out once, however often they come. */

import type { Caller } from "../../proto/rpc-server.js";
import { askedOnce } from "../migration/asked-once.js";
import type { Requester } from "../migration/requester.js";
import type { ActionRecord } from "../store/actions.js";
import type { Api } from "./api.js";
import { type Identified, requesterFrom } from "./requester-from.js";

/** `begin` carries a request out; `again` answers what was begun before. */
export const onceFor =
  ({ store, newId }: Pick<Api, "store" | "newId">) =>
  <Request extends Identified, Answer>(
    begin: (request: Request, caller: Caller, requestedBy: Requester) => Promise<Answer>,
    again: (begun: ActionRecord, request: NoInfer<Request>) => Promise<NoInfer<Answer>>,
  ) =>
  async (request: Request, caller: Caller): Promise<Answer> => {
    const requester = requesterFrom(caller, newId, request);
    return askedOnce(store.queries, requester, {
      begin: () => begin(request, caller, requester),
      again: begun => again(begun, request),
    });
  };
