/** A flavor as Nova shows it, by microversion. */

import type { Flavor } from "../../../../proto/gen/ferry/v1/model.js";
import { linksOf, type NovaRequest } from "../route.js";

type Context = Pick<NovaRequest, "origin" | "version">;

export const flavorRef = (request: Context, { id }: Flavor) => ({
  id,
  links: linksOf(request, `flavors/${id}`).slice(1),
});

/** In lists without details. */
export const flavorSummary = (request: Context, flavor: Flavor) => ({
  id: flavor.id,
  name: flavor.name,
  links: linksOf(request, `flavors/${flavor.id}`),
  ...(request.version >= 55 ? { description: null } : {}),
});

export const flavorView = (request: Context, flavor: Flavor) => ({
  ...flavorSummary(request, flavor),
  ram: flavor.ramMib,
  disk: flavor.rootGib,
  vcpus: flavor.vcpus,
  // A number only since 2.75; before, no swap was the empty text.
  swap: flavor.swapMib === 0 && request.version < 75 ? "" : flavor.swapMib,
  "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeralGib,
  "OS-FLV-DISABLED:disabled": false,
  "os-flavor-access:is_public": true,
  rxtx_factor: 1,
  ...(request.version >= 61 ? { extra_specs: flavor.extraSpecs } : {}),
});

/** What a server carries of its flavor since 2.47. */
export const embeddedFlavor = ({
  name,
  vcpus,
  ramMib,
  rootGib,
  ephemeralGib,
  swapMib,
  extraSpecs,
}: Flavor) => ({
  original_name: name,
  vcpus,
  ram: ramMib,
  disk: rootGib,
  ephemeral: ephemeralGib,
  swap: swapMib,
  extra_specs: extraSpecs,
});
