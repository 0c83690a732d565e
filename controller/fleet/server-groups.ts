/** Server groups: which servers are to be together, or apart. The scheduler's group filters read them. */

import { Fault } from "../../proto/fault.js";
import type { ServerGroup } from "../../proto/gen/ferry/v1/placement.js";
import type { Clock } from "../clock.js";
import {
  deleteServerGroup,
  findServerGroup,
  insertServerGroup,
  listServerGroups,
} from "../store/server-groups.js";
import type { Transactions } from "../store/store.js";
import { refuseName } from "./aggregates.js";

const GROUP_POLICIES = ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"] as const;

interface Dependencies {
  readonly store: Transactions;
  readonly clock: Clock;
  readonly newId: () => string;
}

export interface NewServerGroup {
  readonly name: string;
  readonly policy: string;
  /** 0: not given. */
  readonly maxServerPerHost: number;
  readonly owner: string;
}

export class ServerGroups {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  list(): Promise<ServerGroup[]> {
    return listServerGroups(this.#deps.store.queries);
  }

  /** By name or id. */
  show(nameOrId: string): Promise<ServerGroup> {
    return findServerGroup(this.#deps.store.queries, nameOrId);
  }

  async create({ name, policy, maxServerPerHost, owner }: NewServerGroup): Promise<ServerGroup> {
    refuseName("a server group", name);
    if (!(GROUP_POLICIES as readonly string[]).includes(policy)) {
      throw new Fault("invalid-argument", `${JSON.stringify(policy)} is no policy of a server group`, {
        need: GROUP_POLICIES.join(", "),
      });
    }
    if (maxServerPerHost > 0 && policy !== "anti-affinity") {
      throw new Fault("invalid-argument", "max_server_per_host is a rule of anti-affinity only", {
        have: `policy ${policy}`,
      });
    }
    const { newId, clock, store } = this.#deps;
    const id = newId();
    const limit = policy === "anti-affinity" ? Math.max(1, maxServerPerHost) : 0;
    const fresh = { id, name, policy, owner, maxServerPerHost: limit, createdAtMs: clock.nowMs() };
    await insertServerGroup(store.queries, fresh);
    return this.show(id);
  }

  async delete(nameOrId: string): Promise<void> {
    await this.#deps.store.transaction(async queries => {
      await deleteServerGroup(queries, (await findServerGroup(queries, nameOrId)).id);
    });
  }
}
