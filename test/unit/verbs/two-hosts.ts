/** A source h1 and a target h2 with certificates of one CA, made anew for every test of the file that asks for them. */

import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { PrepareTarget, SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { Certificates } from "../proto/certificates.js";
import { Host } from "./host.js";

export type MakeHost = (name: string) => Promise<Host>;

/** Calls back before every test; the two are ended after it. */
export function withTwoHosts(
  made: (source: Host, target: Host, makeHost: MakeHost) => Promise<void> | void,
): void {
  let certificates: Certificates;
  let hosts: readonly Host[] = [];
  const makeHost: MakeHost = name => Host.make(name, certificates);
  beforeAll(async () => {
    certificates = await Certificates.make();
  });
  beforeEach(async () => {
    const [source, target] = [await makeHost("h1"), await makeHost("h2")];
    hosts = [source, target];
    await made(source, target, makeHost);
  });
  afterEach(() => {
    for (const host of hosts) host[Symbol.dispose]();
  });
  afterAll(() => certificates[Symbol.dispose]());
}

/** What a target is asked for when nothing about the server is to change. */
export const unchanged = (manifest: SourceManifest) => ({
  manifest,
  sourceHost: "h1",
  networkMap: {},
  flavor: undefined as PrepareTarget["flavor"],
  extraSpecs: {},
  crossCell: false,
});
