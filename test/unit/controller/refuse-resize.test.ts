/** What is said against a resize before anybody else is asked. */

import { describe, expect, it } from "vitest";
import { refuseResize } from "../../../controller/migration/refuse-resize.js";
import { Fault } from "../../../proto/fault.js";
import { Disk, Flavor } from "../../../proto/gen/ferry/v1/model.js";

const GIB = 1024 ** 3;
const flavor = (id: string, rootGib: number, ephemeralGib = 0, swapMib = 0): Flavor =>
  Flavor.fromPartial({ id, name: id, vcpus: 1, ramMib: 512, rootGib, ephemeralGib, swapMib });
const disk = (role: string, gib: number): Disk => Disk.fromPartial({ role, virtualSizeBytes: gib * GIB });

const asked =
  (old: Flavor, wanted: Flavor, disks: Disk[] = []) =>
  () =>
    refuseResize({ flavor: old, disks }, wanted);

function thrownBy(body: () => void): Fault {
  try {
    body();
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error("no fault");
}

describe("a resize", () => {
  it("must change the flavor", () => {
    expect(asked(flavor("a", 2), flavor("a", 4))).toThrow("When resizing, instances must change flavor!");
  });

  it.each([
    ["another of the same size", flavor("b", 2, 1, 64)],
    ["more of everything", flavor("b", 3, 2, 128)],
    ["less swap", flavor("b", 2, 1, 0)],
  ])("to %s is fine", (_what, wanted) => {
    expect(asked(flavor("a", 2, 1, 64), wanted, [disk("root", 2), disk("ephemeral", 1)])).not.toThrow();
  });

  it.each([
    ["root", flavor("b", 1, 1)],
    ["ephemeral", flavor("b", 2, 0)],
  ])("to a smaller %s disk is refused, with what is there and what would do", (kind, wanted) => {
    const refused = thrownBy(asked(flavor("a", 2, 1), wanted));
    expect(refused.message).toBe("Resize error: Unable to resize disk down.");
    expect(refused.detail.have).toContain(kind);
    expect(refused.detail.need).toContain("a flavor with at least");
  });

  it("to less than the disk really has is refused, whatever the old flavor says", () => {
    const image = [disk("root", 2.5)];
    expect(asked(flavor("a", 0), flavor("b", 2), image)).toThrow("Unable to resize disk down.");
    expect(asked(flavor("a", 0), flavor("b", 3), image)).not.toThrow();
    expect(asked(flavor("a", 0), flavor("b", 0), image)).not.toThrow();
  });

  it("to no root disk is refused", () => {
    expect(asked(flavor("a", 2), flavor("b", 0))).toThrow("Resize to zero disk flavor is not allowed.");
  });
});
