/**
 * libvirtd has gone, or has just come back, and the hook is being proven again by itself: that is not a no but not known yet,
 * and whoever asked asks again. A hook that is known not to guard is a plain no, said elsewhere.
 */

import { Fault } from "../../proto/fault.js";
import type { World } from "./verb.js";

export function requireSettledHook({ hook }: Pick<World, "hook">): void {
  if (!hook.isPending()) return;
  throw new Fault(
    "unreachable",
    `whether the libvirt hook guards this host is not known: ${hook.problem()}`,
    {
      fix: "if this stays, look at libvirtd: systemctl status libvirtd",
    },
  );
}
