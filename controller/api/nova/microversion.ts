/**
 * Nova's microversions: 2.1 (what a client without a header gets) to 2.93. Asked for by either header, `latest`
 * included; what was not understood is 400, what is not served is 406, in Nova's words.
 */

import { NovaError } from "./nova-error.js";

const MIN = 1;
const MAX = 93;
export const MIN_VERSION = `2.${MIN}`;
export const MAX_VERSION = `2.${MAX}`;

/** The minor number: 2.56 is 56. */
export type Microversion = number;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `OpenStack-API-Version: compute 2.56` wins over `X-OpenStack-Nova-API-Version: 2.56`. */
export function negotiate(headers: Headers): Microversion {
  const asked =
    computeVersion(one(headers["openstack-api-version"])) ?? one(headers["x-openstack-nova-api-version"]);
  if (asked === undefined) return MIN;
  if (asked.toLowerCase() === "latest") return MAX;
  const [, major, minor] = /^([1-9]\d{0,3})\.(0|[1-9]\d{0,3})$/.exec(asked) ?? [];
  if (major === undefined || minor === undefined) {
    const words = `API Version String ${asked} is of invalid format. Must be of format MajorNum.MinorNum.`;
    throw new NovaError(400, words);
  }
  if (major !== "2" || Number(minor) < MIN || Number(minor) > MAX) {
    throw new NovaError(
      406,
      `Version ${asked} is not supported by the API. Minimum is ${MIN_VERSION} and maximum is ${MAX_VERSION}.`,
    );
  }
  return Number(minor);
}

/** Other services' versions may stand in the same header. */
function computeVersion(header: string | undefined): string | undefined {
  const parts = header?.split(",").map(part => part.trim().split(/\s+/));
  return parts?.find(([service]) => service?.toLowerCase() === "compute")?.[1];
}

const one = (header: string | readonly string[] | undefined): string | undefined =>
  typeof header === "string" ? header : header?.[0];

export const versionHeaders = (version: Microversion): Readonly<Record<string, string>> => ({
  "OpenStack-API-Version": `compute 2.${version}`,
  "X-OpenStack-Nova-API-Version": `2.${version}`,
  Vary: "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
});
