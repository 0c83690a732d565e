/**
 * Who sends a request: by a token of the identity service, a static token, or a name and password with the request
 * itself (HTTP basic). The role is what the credential file says now, not what it said when a token was issued.
 */

import type { IncomingHttpHeaders } from "node:http";
import type { Identity } from "../../../../proto/identity.js";
import { NovaError } from "../nova-error.js";
import type { Credentials, User } from "./credentials.js";
import type { Tokens } from "./tokens.js";

export type Authenticate = (headers: IncomingHttpHeaders) => Promise<Identity>;

/** Everybody is an administrator; for a listener on loopback only. */
export const authenticateNobody: Authenticate = async () => ({
  kind: "user",
  name: "anybody",
  domain: "rest",
  role: "admin",
});

export function authenticator(credentials: Credentials, tokens: Tokens): Authenticate {
  return async headers => {
    const found = (await byToken(headers, credentials, tokens)) ?? (await byBasic(headers, credentials));
    if (found === undefined) throw unauthorized();
    return identityOf(found.user, found.project);
  };
}

interface Found {
  readonly user: User;
  readonly project: string | undefined;
}

async function byToken(
  headers: IncomingHttpHeaders,
  credentials: Credentials,
  tokens: Tokens,
): Promise<Found | undefined> {
  const token = headers["x-auth-token"];
  if (typeof token !== "string" || token === "") return undefined;
  const issued = await tokens.find(token);
  if (issued !== undefined) {
    const user = credentials.find(issued.user);
    return user && { user, project: issued.project };
  }
  const user = await credentials.byToken(token);
  return user && { user, project: user.projects[0] };
}

async function byBasic(headers: IncomingHttpHeaders, credentials: Credentials): Promise<Found | undefined> {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(headers.authorization ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  const user = await credentials.byPassword(text.slice(0, Math.max(0, colon)), text.slice(colon + 1));
  return user && { user, project: user.projects[0] };
}

export const identityOf = ({ name, role }: User, project: string | undefined): Identity => ({
  kind: "user",
  name,
  domain: "rest",
  role,
  ...(project === undefined || project === "" ? {} : { project }),
});

export const unauthorized = (): NovaError =>
  new NovaError(401, "The request you have made requires authentication.", {
    "WWW-Authenticate": 'Basic realm="Ferry"',
  });
