/**
 * Whose turn it is, when only so many migrations may copy at a time: in all, and at each host, as its source or target.
 *
 *   order    by when they came, a priority being a head start: whoever waits gets nearer, whatever comes later
 *   overtake whoever finds a host full is overtaken by those that need other hosts, but not for ever: after a while its
 *            hosts let nobody past, and are its own as soon as they have room
 *
 * Pure: the same rows and the same moment give the same turns, on every controller.
 */

export interface Turn {
  readonly migration: string;
  readonly sourceHost: string;
  readonly targetHost: string;
  readonly queuedAtMs: number;
  readonly priority: number;
  /** It copies already. */
  readonly taken: boolean;
}

export interface QueueLimits {
  /** 0: any number. */
  readonly total: number;
  readonly perHost: number;
}

/** What a step of priority is worth in waiting. */
export const HEAD_START_MS = 10 * 60_000;
/** So long a migration is overtaken at its hosts. */
export const PATIENCE_MS = 5 * 60_000;
export const MOST_PRIORITY = 10;

/** Where room has to be made before a migration may begin. */
export type Obstacle = "total" | "source" | "target";

export interface Judged {
  readonly turn: Turn;
  /** Nothing: it may begin now. */
  readonly waitsFor: Obstacle | undefined;
}

/** Those that may begin now, in the order in which they come to it. */
export const nextTurns = (turns: readonly Turn[], limits: QueueLimits, nowMs: number): string[] =>
  judgeTurns(turns, limits, nowMs)
    .filter(({ waitsFor }) => waitsFor === undefined)
    .map(({ turn }) => turn.migration);

/** All that have not begun, in the order in which they come to it. */
export function judgeTurns(turns: readonly Turn[], limits: QueueLimits, nowMs: number): Judged[] {
  const atHost = new Map<string, number>();
  let total = 0;
  const occupy = ({ sourceHost, targetHost }: Turn) => {
    for (const host of new Set([sourceHost, targetHost])) atHost.set(host, (atHost.get(host) ?? 0) + 1);
  };
  const isFull = (host: string) => !hasRoom(limits.perHost, atHost.get(host) ?? 0);
  const obstacleTo = ({ sourceHost, targetHost }: Turn): Obstacle | undefined => {
    if (!hasRoom(limits.total, total)) return "total";
    if (isFull(sourceHost)) return "source";
    return isFull(targetHost) ? "target" : undefined;
  };
  for (const turn of turns.filter(({ taken }) => taken)) {
    occupy(turn);
    total += 1;
  }
  return inOrder(turns).map(turn => {
    const waitsFor = obstacleTo(turn);
    if (waitsFor === undefined) total += 1;
    if (waitsFor === undefined || nowMs - placeOf(turn) > PATIENCE_MS) occupy(turn);
    return { turn, waitsFor };
  });
}

/** Those that wait, the next one first. */
export function inOrder(turns: readonly Turn[]): Turn[] {
  return turns
    .filter(({ taken }) => !taken)
    .sort((one, other) => placeOf(one) - placeOf(other) || (one.migration < other.migration ? -1 : 1));
}

/** Earlier is nearer. It never changes, so that time alone brings everybody's turn. */
const placeOf = ({ queuedAtMs, priority }: Turn): number => queuedAtMs - priority * HEAD_START_MS;

const hasRoom = (limit: number, used: number): boolean => limit === 0 || used < limit;
