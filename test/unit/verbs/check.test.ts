/** A check answers what the claim would answer, and leaves nothing on either host. */

import { describe, expect, it } from "vitest";
import { checkTarget, describeSourceNow } from "../../../agent/check-target.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { type Host, SERVER } from "./host.js";
import { unchanged, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
withTwoHosts((...made) => {
  [source, target] = made;
});

const { signal } = new AbortController();
const prepare = () => unchanged(source.manifest());

async function objections(): Promise<string[]> {
  const request = { serverId: SERVER, epoch: 1, prepare: prepare() };
  const { checks } = await checkTarget(request, signal, target.world);
  return checks
    .filter(({ informational }) => !informational)
    .flatMap(({ reasons }) => reasons.map(({ message }) => message));
}

async function refusals(): Promise<string[]> {
  const answer = await prepareTarget(prepare(), target.call(), target.world);
  return answer.refusals.map(({ message }) => message);
}

describe("checking a target", () => {
  it("claims nothing, plans nothing and defines nothing", async () => {
    expect(await objections()).toEqual([]);
    expect(target.guest).toBeUndefined();
    expect(target.world.documents.list("claim")).toEqual([]);
    expect(target.world.documents.list("target")).toEqual([]);
    expect(target.hypervisor.domains.size).toBe(0);
  });

  it("never disagrees with the claim on an unchanged host", async () => {
    target.hookProblem = "hook not loaded";
    target.write("images/web-3/disk", "somebody's");
    const said = await objections();
    expect(said).toHaveLength(2);
    expect(await refusals()).toEqual(said);
    target.hookProblem = "";
    expect(await refusals()).toEqual(await objections());
  });
});

describe("describing a source", () => {
  it("tells the node, its software and the guest's CPU, and journals nothing", async () => {
    await source.settle();
    const request = { serverId: SERVER, readOnlyDrives: "refuse" };
    const { manifest, refusals: said } = await describeSourceNow(request, signal, source.world);
    expect(said).toEqual([]);
    expect(manifest?.facts).toMatchObject({ qemuVersion: 7_002_000, libvirtVersion: 9_000_000 });
    expect(manifest?.facts?.cpu?.flags.length).toBeGreaterThan(0);
    expect(source.world.documents.list("source")).toEqual([]);
  });

  it("refuses where the hook does not guard it", async () => {
    await source.settle();
    source.hookProblem = "hook not loaded";
    const request = { serverId: SERVER, readOnlyDrives: "refuse" };
    const { manifest, refusals: said } = await describeSourceNow(request, signal, source.world);
    expect(manifest).toBeUndefined();
    expect(said.map(({ message }) => message)).toEqual([expect.stringMatching(/does not guard the source/)]);
  });
});
