/**
 * What can be said against a resize before anybody else is asked: Nova's sentences, with what is there and what would
 * be needed. A disk is held against its real size, too, because a flavor may have been smaller than the image.
 */

import { Fault } from "../../proto/fault.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import type { ServerRecord } from "../store/servers.js";

const GIB = 1024 ** 3;

export function refuseResize(
  { flavor: old, disks }: Pick<ServerRecord, "flavor" | "disks">,
  flavor: Flavor,
): void {
  if (old.id === flavor.id) {
    throw new Fault("invalid-argument", "When resizing, instances must change flavor!", {
      have: `flavor ${old.name}`,
      need: "another flavor",
      fix: "ferry flavor list shows them; ferry server migrate moves a server as it is",
    });
  }
  if (flavor.rootGib === 0 && old.rootGib !== 0) {
    throw new Fault(
      "invalid-argument",
      "Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.",
      { have: `${old.rootGib} GiB root disk`, need: "a flavor with a root disk" },
    );
  }
  const bytesOf = (role: string) =>
    disks
      .filter(disk => disk.role === role && disk.mode !== "volume")
      .reduce((sum, disk) => sum + disk.virtualSizeBytes, 0);
  if (flavor.rootGib !== 0)
    refuseSmaller("root", { oldGib: old.rootGib, realBytes: bytesOf("root") }, flavor.rootGib);
  const ephemeral = { oldGib: old.ephemeralGib, realBytes: bytesOf("ephemeral") };
  refuseSmaller("ephemeral", ephemeral, flavor.ephemeralGib);
}

function refuseSmaller(
  disk: "root" | "ephemeral",
  { oldGib, realBytes }: { readonly oldGib: number; readonly realBytes: number },
  newGib: number,
): void {
  const leastGib = Math.max(oldGib, realBytes / GIB);
  if (newGib >= leastGib) return;
  throw new Fault("refused", "Resize error: Unable to resize disk down.", {
    have: `${Number(leastGib.toFixed(3))} GiB ${disk} disk`,
    need: `a flavor with at least ${Math.ceil(leastGib)} GiB, not ${newGib} GiB`,
    fix: "choose a larger flavor; a disk is never cut",
  });
}
