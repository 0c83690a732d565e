/**
 * Where a host's facts are read: the live directories, or a captured tree laid out the same way.
 */

import { type Report, Tree } from "./tree.js";

export interface Roots {
  readonly sys: string;
  readonly proc: string;
  readonly etc: string;
  /** /usr/share: firmware descriptors of the distribution. */
  readonly share: string;
}

export const LIVE_ROOTS: Roots = { sys: "/sys", proc: "/proc", etc: "/etc", share: "/usr/share" };

export interface Trees {
  readonly sys: Tree;
  readonly proc: Tree;
  readonly etc: Tree;
  readonly share: Tree;
}

export function openTrees(roots: Roots, report: Report): Trees {
  return {
    sys: new Tree(roots.sys, report),
    proc: new Tree(roots.proc, report),
    etc: new Tree(roots.etc, report),
    share: new Tree(roots.share, report),
  };
}
