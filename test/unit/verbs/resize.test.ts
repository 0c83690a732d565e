/** A server arrives as another size: what is planned for it, what is refused, and what an unwinding takes away. */

import { describe, expect, it } from "vitest";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { defineTarget } from "../../../agent/verbs/define-target.js";
import { prepareDisks } from "../../../agent/verbs/prepare-disks.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { removeTargetFiles } from "../../../agent/verbs/remove-target-files.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import { TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import type { Host } from "./host.js";
import { unchanged, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
withTwoHosts((...made) => {
  [source, target] = made;
});

const SWAP = "images/web-3/disk.swap";

async function prepare(size: Partial<Flavor>) {
  const flavor = Flavor.fromPartial({ id: "f", vcpus: 3, ramMib: 2, ...size });
  const { plan, refusals } = await prepareTarget(
    { ...unchanged(source.manifest()), flavor },
    target.call(),
    target.world,
  );
  return { plan: plan ?? TargetPlan.fromPartial({}), refusals: refusals.map(({ message }) => message) };
}

describe("a target for another size", () => {
  it("plans the machine, its disks and its bookings as they will be", async () => {
    const { plan, refusals } = await prepare({ swapMib: 1, rootGib: 1 });
    expect(refusals).toEqual([]);
    expect(readDomain(plan.domainXml)).toMatchObject({ vcpus: 3, memoryKib: 2048 });
    expect(plan.files.map(({ id, mode, path, newSizeBytes }) => [id, mode, path, newSizeBytes])).toEqual([
      ["vda/0", "copied", target.at("images/web-3/disk"), 1024 ** 3],
      ["vdb/0", "added", target.at(SWAP), 1024 ** 2],
    ]);
    expect(target.guest?.disks.map(({ targetDev, role, mode }) => `${targetDev} ${role} ${mode}`)).toEqual([
      "vda root ",
      "vdb swap re-created",
    ]);
    expect(target.world.documents.list("claim")).toMatchObject([{ body: { memoryMib: 2, vcpus: 3 } }]);
  });

  it("refuses when it has too little memory for that size", async () => {
    expect((await prepare({ ramMib: 2 ** 30 })).refusals).toContain("the target has too little memory");
  });

  it("refuses when somebody's file has the name of a disk that comes", async () => {
    target.write(SWAP, "somebody's");
    expect((await prepare({ swapMib: 1 })).refusals).toEqual([
      `the added disk ${target.at(SWAP)} exists on the target already`,
    ]);
    expect(target.read(SWAP)).toBe("somebody's");
  });

  it("defines nothing without the second receipt", async () => {
    const { plan } = await prepare({ swapMib: 1 });
    await target.receive(plan);
    const define = () => defineTarget({ plan, copy: undefined }, target.call(), target.world);
    await expect(define()).rejects.toThrow("no receipt for vdb/0");
    await prepareDisks({ plan, files: [] }, target.call(), target.world);
    await define();
  });

  it("says the same of a disk that it made, however often it is asked", async () => {
    const { plan } = await prepare({ swapMib: 1 });
    await target.receive(plan);
    const make = () => prepareDisks({ plan, files: [] }, target.call(), target.world);
    const [first, second] = [await make(), await make()];
    expect(second.copy?.files).toEqual(first.copy?.files);
    expect(first.copy?.files).toMatchObject([{ id: "vdb/0", mode: "added", sizeBytes: 1024 ** 2 }]);
  });

  it("that is withdrawn keeps the disks that came until they are removed", async () => {
    const { plan } = await prepare({ swapMib: 1 });
    await target.receive(plan);
    await prepareDisks({ plan, files: [] }, target.call(), target.world);
    const call = target.call({ epoch: 3 });
    await withdrawTarget({ afterRun: false, peerHost: "h1" }, call, target.world);
    expect([target.has(SWAP), target.has(`${SWAP}.dropped-m1`)]).toEqual([false, true]);
    await removeTargetFiles({}, call, target.world);
    expect(target.has("images/web-3")).toBe(false);
  });
});
