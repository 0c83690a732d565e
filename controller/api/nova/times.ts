/** Times as Nova writes them, and as its filters may be given. */

import { NovaError } from "./nova-error.js";

/** `2026-11-20T12:00:00Z` */
export const timeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** `2026-11-20T12:00:00.000000`; null for 0, which means "not yet". */
export const preciseTimeOf = (ms: number): string | null =>
  ms === 0 ? null : `${new Date(ms).toISOString().slice(0, 23)}000`;

/** Milliseconds of what a filter says; without a zone it is UTC. */
export function readTime(name: string, text: string): number {
  const isDate = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/.test(text);
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/.test(text) && text.length > 10;
  const ms = isDate
    ? Date.parse(hasZone || text.length <= 10 ? text : `${text.replace(" ", "T")}Z`)
    : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new NovaError(
      400,
      `Invalid input for query parameters ${name}. Value: ${text}. '${text}' is not a 'date-time'`,
    );
  }
  return ms;
}
