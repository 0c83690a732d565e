/** What a route of the REST face is: a table row with its microversions and a function from request to answer. */

import type { Identity } from "../../../proto/identity.js";
import type { LocalCall } from "../local-calls.js";
import type { Microversion } from "./microversion.js";
import { NovaError } from "./nova-error.js";

export interface NovaRequest {
  readonly version: Microversion;
  readonly identity: Identity;
  readonly requestId: string;
  /** Calls the controller in the caller's name. */
  readonly call: LocalCall;
  /** Scheme, host and port as the caller knows them. */
  readonly origin: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** Parsed JSON; undefined when there was none. */
  readonly body: unknown;
}

/** A parameter that is given several times counts once, by its last value. */
export type Query = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Where its service begins; `/v2.1`, which is Nova, when absent. */
  readonly base?: string;
  /** Below it, such as `/servers/:id`. */
  readonly path: string;
  /** Microversions in which it exists. */
  readonly since?: Microversion;
  readonly until?: Microversion;
  readonly answer: (request: NovaRequest) => Promise<Answer>;
}

export const ok = (body: object | string): Answer => ({ status: 200, body });
export const ACCEPTED: Answer = { status: 202 };
export const NO_CONTENT: Answer = { status: 204 };

export const noSuchResource = (): NovaError => new NovaError(404, "The resource could not be found.");

export const isAdmin = ({ identity }: Pick<NovaRequest, "identity">): boolean => identity.role === "admin";

/** As Nova links a resource: with the version, and without (`bookmark`). */
export const linksOf = ({ origin }: Pick<NovaRequest, "origin">, path: string) => [
  { rel: "self", href: `${origin}/v2.1/${path}` },
  { rel: "bookmark", href: `${origin}/${path}` },
];

/** The body as an object, or Nova's refusal. */
export function bodyOf({ body }: Pick<NovaRequest, "body">): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw malformed();
  return body as Record<string, unknown>;
}

export const malformed = (): NovaError => new NovaError(400, "Malformed request body");
