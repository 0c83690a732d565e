/**
 * What a list of servers asks for, in our words. An administrator sees a project's servers, and those of no project, unless
 * all are asked for; others see what they see anyhow.
 */

import { ListServersRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { SERVER_SORT_KEYS } from "../../store/server-selection.js";
import { NovaError } from "./nova-error.js";
import { isTrue } from "./python-boolean.js";
import { isAdmin, type NovaRequest } from "./route.js";
import type { NovaSettings } from "./settings.js";
import { readTime } from "./times.js";
import { POWER_STATES } from "./views/server-view.js";

type Question = Pick<NovaRequest, "query" | "identity">;
type Asked = Partial<ListServersRequest>;

/** Undefined: nothing can match. */
export function serverQuestion(question: Question, settings: NovaSettings): ListServersRequest | undefined {
  const { query } = question;
  let asked: Asked = { ...scopeOf(question), ...orderOf(query) };
  for (const name of Object.keys(query)) {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (filter === undefined || !(filter.everybody || isAdmin(question))) continue;
    const narrower = filter.of(query[name] ?? "", settings);
    if (narrower === undefined) return undefined;
    asked = { ...asked, ...narrower };
  }
  return ListServersRequest.fromPartial(asked);
}

function scopeOf(question: Question): Asked {
  const { query, identity } = question;
  const asksAll = query.all_tenants !== undefined && (query.all_tenants === "" || isTrue(query.all_tenants));
  if (asksAll && !isAdmin(question)) {
    const rule = "os_compute_api:servers:index:get_all_tenants";
    throw new NovaError(403, `Policy doesn't allow ${rule} to be performed.`);
  }
  const namesProject = query.project_id !== undefined || query.tenant_id !== undefined;
  const isWhole = asksAll || (namesProject && isAdmin(question)) || identity.project === undefined;
  return isWhole ? {} : { project: identity.project };
}

/** Newest first, unless asked otherwise. */
function orderOf({ sort_key: key = "", sort_dir: direction = "desc" }: Question["query"]): Asked {
  return {
    sortKey: SERVER_SORT_KEYS.includes(key) ? key : "created_at",
    sortDescending: direction !== "asc",
  };
}

interface Filter {
  readonly everybody: boolean;
  /** Undefined: nothing matches. */
  readonly of: (value: string, settings: NovaSettings) => Asked | undefined;
}

const forEverybody = (of: Filter["of"]): Filter => ({ everybody: true, of });
const forAdmins = (of: Filter["of"]): Filter => ({ everybody: false, of });

const FILTERS: Readonly<Record<string, Filter>> = {
  name: forEverybody(name => ({ name })),
  status: forEverybody(status => ({ status: status.toUpperCase() })),
  vm_state: forAdmins(vmState => ({ vmState: vmState.toLowerCase() })),
  task_state: forAdmins(taskState => ({ taskState: taskState.toLowerCase() })),
  power_state: forAdmins(number => ({ powerState: POWER_NAMES.get(number) ?? number })),
  flavor: forEverybody(flavor => ({ flavor })),
  image: forEverybody((image, { images }) => ({
    image: images.find(({ id }) => id === image)?.path ?? image,
  })),
  uuid: forEverybody(id => ({ id })),
  // Nothing has an address here, so nothing matches one.
  ip: forEverybody(() => undefined),
  ip6: forEverybody(() => undefined),
  host: forAdmins(host => ({ host })),
  node: forAdmins(host => ({ host })),
  project_id: forAdmins(tenant => ({ tenant })),
  tenant_id: forAdmins(tenant => ({ tenant })),
  user_id: forAdmins(user => ({ owner: `user/${user}` })),
  locked: forEverybody(locked => ({ locked: isTrue(locked) })),
  deleted: forAdmins(deleted => (isTrue(deleted) ? undefined : {})),
  "changes-since": forEverybody(text => ({ changedSinceMs: readTime("changes-since", text) })),
  "changes-before": forEverybody(text => ({ changedUntilMs: readTime("changes-before", text) })),
};

const POWER_NAMES = new Map(Object.entries(POWER_STATES).map(([name, number]) => [String(number), name]));
