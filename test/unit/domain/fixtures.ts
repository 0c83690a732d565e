/** Domain XML as libvirt 9.0.0 wrote it, and one of ours with far more elements than any guest has. */

import { readFileSync } from "node:fs";

const read = (name: string) =>
  readFileSync(new URL(`../../fixtures/domain/${name}.xml`, import.meta.url), "utf8");

/** A guest with efi, vTPM, root on a backing file, ephemeral, swap, CD-ROMs, network and bridge. */
export const inactiveXml = read("inactive");
/** The same one while it runs. */
export const liveXml = read("live");
/** The same one after `attach-disk --live`. */
export const hotplugXml = read("live-hotplug");
/** A server of `createDomainXml` as libvirt stored it, the same after it was started once, and while it ran. */
export const definedXml = read("defined");
export const definedAfterStartXml = read("defined-after-start");
export const definedLiveXml = read("defined-live");
/** Every kind of host path, and elements that nobody knows. */
export const everythingXml = read("everything");

export const UUID = "3f2b1c4e-5a6d-4e7f-8091-a2b3c4d5e6f7";

/** Replace one piece of a text; a piece that is not there is a mistake in the test. */
export function edit(xml: string, from: string, to: string): string {
  if (!xml.includes(from)) throw new Error(`no ${from} in the fixture`);
  return xml.replace(from, to);
}
