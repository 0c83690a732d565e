/** Where the caller believes us to be: links in answers begin with it. */

import type { FastifyRequest } from "fastify";

/** The Host header is the caller's own word; it comes back in links to that caller only. */
export function originOf({ protocol, headers: { host } }: FastifyRequest): string {
  const safe = /^[A-Za-z0-9.[\]:_-]{1,255}$/.test(host ?? "") ? host : "localhost";
  return `${protocol}://${safe}`;
}
