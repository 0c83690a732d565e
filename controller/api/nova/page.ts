/** Nova's paging: at most `limit` items after the one whose id is `marker`, and a link to the next page. */

import { NovaError } from "./nova-error.js";
import type { NovaRequest } from "./route.js";

const MOST_ITEMS = 1000;

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

export function pageOf<Item>(
  all: readonly Item[],
  { query }: Pick<NovaRequest, "query">,
  { idOf, onlyWhenAsked = false }: { idOf: (item: Item) => string; onlyWhenAsked?: boolean },
): Page<Item> {
  const limit = limitOf(query.limit);
  if (onlyWhenAsked && query.limit === undefined && query.marker === undefined)
    return { items: all.slice(0, MOST_ITEMS) };
  const from = query.marker === undefined ? 0 : indexAfter(all, query.marker, idOf);
  const items = all.slice(from, from + limit);
  const last = items.at(-1);
  const isCut =
    from + items.length < all.length && (query.limit !== undefined || items.length === MOST_ITEMS);
  return last === undefined || !isCut ? { items } : { items, next: idOf(last) };
}

/** A page that whoever keeps the items cuts: it is asked for one more than is shown, which tells whether there are more. */
export function askedPage({ query }: Pick<NovaRequest, "query">) {
  const limit = limitOf(query.limit);
  return {
    asked: { marker: query.marker, limit: limit + 1 },
    cut<Item extends { readonly id: string }>(found: readonly Item[]): Page<Item> {
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return last === undefined || found.length <= limit ? { items } : { items, next: last.id };
    },
  };
}

/** The link is the same question, with another marker. */
export function nextLinks(
  request: NovaRequest,
  path: string,
  next: string | undefined,
  name: string,
): object {
  if (next === undefined) return {};
  const query = new URLSearchParams({ ...request.query, marker: next });
  return { [name]: [{ rel: "next", href: `${request.origin}/v2.1/${path}?${query}` }] };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return MOST_ITEMS;
  if (/^\d{1,15}$/.test(text)) {
    const limit = Number(text);
    // Nova reads 0 as "as many as you will".
    return limit === 0 ? MOST_ITEMS : Math.min(limit, MOST_ITEMS);
  }
  throw new NovaError(
    400,
    `Invalid input for query parameters limit. Value: ${text}. '${text}' does not match '^[0-9]*$'`,
  );
}

function indexAfter<Item>(all: readonly Item[], marker: string, idOf: (item: Item) => string): number {
  const index = all.findIndex(item => idOf(item) === marker);
  if (index < 0) throw new NovaError(400, `marker [${marker}] not found`);
  return index + 1;
}
