/**
 * Which servers a list asks for. An administrator sees a project's servers, and those of no project, unless all are asked
 * for; others see what they see anyhow.
 */

import type { Server } from "../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "./nova-error.js";
import { isTrue } from "./python-boolean.js";
import { isAdmin, type NovaRequest } from "./route.js";
import { numberOf } from "./stable-ids.js";
import { readTime } from "./times.js";
import { projectOf } from "./views/server-view.js";

type Question = Pick<NovaRequest, "query" | "identity" | "version">;

export function selectServers(servers: readonly Server[], question: Question): Server[] {
  const { query } = question;
  const wanted = (Object.keys(query) as string[]).flatMap(name => {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    const isAllowed = filter !== undefined && (filter.everybody || isAdmin(question));
    return isAllowed ? [filter.of(query[name] ?? "")] : [];
  });
  const scope = scopeOf(question);
  const isInScope = ({ project }: Server) => scope === undefined || project === "" || project === scope;
  const found = servers.filter(server => isInScope(server) && wanted.every(fits => fits(server)));
  return found.sort(orderOf(query.sort_key, query.sort_dir));
}

/** The project that the list is of; undefined: every one that the caller may see. */
function scopeOf(question: Question): string | undefined {
  const { query, identity } = question;
  const asksAll = query.all_tenants !== undefined && (query.all_tenants === "" || isTrue(query.all_tenants));
  if (asksAll && !isAdmin(question)) {
    const rule = "os_compute_api:servers:index:get_all_tenants";
    throw new NovaError(403, `Policy doesn't allow ${rule} to be performed.`);
  }
  const namesProject = query.project_id !== undefined || query.tenant_id !== undefined;
  return asksAll || (namesProject && isAdmin(question)) ? undefined : identity.project;
}

type Fits = (server: Server) => boolean;

interface Filter {
  readonly everybody: boolean;
  readonly of: (value: string) => Fits;
}

const forEverybody = (of: Filter["of"]): Filter => ({ everybody: true, of });
const forAdmins = (of: Filter["of"]): Filter => ({ everybody: false, of });

const FILTERS: Readonly<Record<string, Filter>> = {
  name: forEverybody(text => {
    const matches = nameMatcher(text);
    return ({ name }) => matches(name);
  }),
  status: forEverybody(
    text =>
      ({ status }) =>
        status === text.toUpperCase(),
  ),
  vm_state: forAdmins(
    text =>
      ({ vmState }) =>
        vmState === text.toLowerCase(),
  ),
  task_state: forAdmins(
    text =>
      ({ taskState }) =>
        taskState === text.toLowerCase(),
  ),
  power_state: forAdmins(
    text =>
      ({ powerState }) =>
        String(POWER_STATES[powerState] ?? 0) === text,
  ),
  flavor: forEverybody(
    text =>
      ({ flavor }) =>
        flavor?.id === text,
  ),
  image: forEverybody(
    text =>
      ({ image }) =>
        image === text,
  ),
  uuid: forEverybody(
    text =>
      ({ id }) =>
        id === text,
  ),
  // Nothing has an address here, so nothing matches one.
  ip: forEverybody(() => () => false),
  ip6: forEverybody(() => () => false),
  host: forAdmins(
    text =>
      ({ host }) =>
        host === text,
  ),
  node: forAdmins(
    text =>
      ({ host }) =>
        host === text,
  ),
  project_id: forAdmins(text => server => projectOf(server) === text),
  tenant_id: forAdmins(text => server => projectOf(server) === text),
  user_id: forAdmins(
    text =>
      ({ owner }) =>
        owner === `user/${text}`,
  ),
  locked: forEverybody(
    text =>
      ({ lockedBy }) =>
        (lockedBy !== "") === isTrue(text),
  ),
  deleted: forAdmins(text => () => !isTrue(text)),
  "changes-since": forEverybody(text => {
    const sinceMs = readTime("changes-since", text);
    return ({ updatedAtMs }) => updatedAtMs >= sinceMs;
  }),
  "changes-before": forEverybody(text => {
    const untilMs = readTime("changes-before", text);
    return ({ updatedAtMs }) => updatedAtMs <= untilMs;
  }),
};

const POWER_STATES: Readonly<Record<string, number>> = {
  NOSTATE: 0,
  RUNNING: 1,
  PAUSED: 3,
  SHUTDOWN: 4,
  CRASHED: 6,
};

/**
 * Nova hands the name to its database as a regular expression. Ours would run in the controller, where one expression
 * can take for ever; so `^`, `$` and `.*` mean what they mean there, and everything else stands for itself.
 */
export function nameMatcher(text: string): (name: string) => boolean {
  const [isStart, isEnd] = [text.startsWith("^"), text.endsWith("$") && !text.endsWith("\\$")];
  const inner = text.slice(isStart ? 1 : 0, isEnd ? -1 : undefined).replaceAll(/\\(.)/g, "$1");
  const parts = inner.split(".*");
  return name => {
    const from = findInOrder(name, parts, isStart);
    if (from === undefined) return false;
    return !isEnd || endsWithParts(name, parts, isStart);
  };
}

/** Where the last part ends, each part found as early as can be. */
function findInOrder(name: string, parts: readonly string[], isStart: boolean): number | undefined {
  let from = 0;
  for (const [index, part] of parts.entries()) {
    const at = name.indexOf(part, from);
    if (at < 0 || (index === 0 && isStart && at !== 0)) return undefined;
    from = at + part.length;
  }
  return from;
}

function endsWithParts(name: string, parts: readonly string[], isStart: boolean): boolean {
  const last = parts.at(-1) ?? "";
  if (!name.endsWith(last)) return false;
  if (parts.length === 1) return !isStart || name === last;
  return findInOrder(name.slice(0, name.length - last.length), parts.slice(0, -1), isStart) !== undefined;
}

/** Newest first, unless asked otherwise. */
function orderOf(key = "created_at", direction = "desc"): (one: Server, other: Server) => number {
  const sortValue =
    (Object.hasOwn(SORT_KEYS, key) ? SORT_KEYS[key] : undefined) ?? (({ createdAtMs }) => createdAtMs);
  const sign = direction === "asc" ? 1 : -1;
  return (one, other) => {
    const [a, b] = [sortValue(one), sortValue(other)];
    if (a !== b) return a < b ? -sign : sign;
    return one.id < other.id ? -sign : sign;
  };
}

const SORT_KEYS: Readonly<Record<string, (server: Server) => string | number>> = {
  created_at: ({ createdAtMs }) => createdAtMs,
  updated_at: ({ updatedAtMs }) => updatedAtMs,
  display_name: ({ name }) => name,
  host: ({ host }) => host,
  uuid: ({ id }) => id,
  instance_type_id: ({ flavor }) => numberOf("flavor", flavor?.id ?? ""),
  power_state: ({ powerState }) => POWER_STATES[powerState] ?? 0,
  project_id: server => projectOf(server),
  task_state: ({ taskState }) => taskState,
  vm_state: ({ vmState }) => vmState,
};
