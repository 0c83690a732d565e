/**
 * Who is speaking: the identity in a certificate's URI names.
 *
 *     spiffe://<domain>/agent/<host>   spiffe://<domain>/controller/<name>   spiffe://<domain>/user/<name>
 *     urn:ferry:role:admin|manager|member            (users only; member when absent)
 *
 * A certificate that says two things says nothing: whatever is ambiguous, misspelt or of another domain is refused,
 * never guessed. The common name and the DNS names carry no authority.
 */

import { Fault } from "./fault.js";

export type IdentityKind = "agent" | "controller" | "user";
export type Role = "admin" | "manager" | "member";

export interface Identity {
  readonly kind: IdentityKind;
  readonly name: string;
  readonly domain: string;
  /** Present exactly when the kind is `user`. */
  readonly role?: Role;
  /** The project that a REST credential acts in. */
  readonly project?: string;
}

export const ROLES = ["admin", "manager", "member"] as const satisfies readonly Role[];
export const IDENTITY_KINDS = ["agent", "controller", "user"] as const satisfies readonly IdentityKind[];

const ROLE_PREFIX = "urn:ferry:role:";
const DOMAIN = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,251}[A-Za-z0-9])?$/;

export const isIdentityName = (name: string): boolean => NAME.test(name) && !name.includes("..");
export const isIdentityDomain = (domain: string): boolean => DOMAIN.test(domain) && !domain.includes("..");
export const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text);
const isKind = (text: string): text is IdentityKind => (IDENTITY_KINDS as readonly string[]).includes(text);

/** For people and logs: `agent/h1`. */
export const identityLabel = ({ kind, name }: Pick<Identity, "kind" | "name">): string => `${kind}/${name}`;

/** The URI names that a certificate for this identity carries. */
export function identityUris({ kind, name, domain, role }: Identity): string[] {
  const spiffe = `spiffe://${domain}/${kind}/${name}`;
  return role === undefined ? [spiffe] : [spiffe, `${ROLE_PREFIX}${role}`];
}

/** Reads the identity out of a certificate's subjectAltName as Node prints it; `domain` must match when given. */
export function parseIdentity(subjectAltName: string | undefined, domain?: string): Identity {
  const uris = uriNames(subjectAltName ?? "");
  const [spiffe, ...others] = uris.filter(uri => /^spiffe:/i.test(uri));
  if (spiffe === undefined) throw refusal("carries no spiffe:// name");
  if (others.length > 0) throw refusal("carries several spiffe:// names");
  const identity = parseSpiffe(spiffe);
  if (domain !== undefined && identity.domain !== domain) {
    throw refusal(`is of domain ${identity.domain}`, `domain ${domain}`);
  }
  const role = parseRole(uris, identity.kind);
  return role === undefined ? identity : { ...identity, role };
}

/** Node quotes a name that could be mistaken for several (commas, quotes, control characters): none of ours can be. */
function uriNames(subjectAltName: string): string[] {
  if (subjectAltName.includes('"')) throw refusal("has a subject name that cannot be read without doubt");
  const entries = subjectAltName.split(", ").filter(entry => entry.startsWith("URI:"));
  return entries.map(entry => entry.slice("URI:".length));
}

function parseSpiffe(uri: string): Identity {
  const [, domain = "", kind = "", name = ""] = /^spiffe:\/\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(uri) ?? [];
  if (!isIdentityDomain(domain) || !isKind(kind) || !isIdentityName(name)) {
    throw refusal(`has the malformed name ${JSON.stringify(uri)}`);
  }
  return { kind, name, domain };
}

function parseRole(uris: readonly string[], kind: IdentityKind): Role | undefined {
  const roles = uris.filter(uri => /^urn:ferry:/i.test(uri));
  if (kind !== "user") {
    if (roles.length > 0) throw refusal(`gives a role to a${kind === "agent" ? "n agent" : " controller"}`);
    return undefined;
  }
  const [uri, ...others] = roles;
  if (uri === undefined) return "member";
  if (others.length > 0) throw refusal("carries several roles");
  const role = uri.startsWith(ROLE_PREFIX) ? uri.slice(ROLE_PREFIX.length) : "";
  if (!isRole(role)) throw refusal(`has the unknown role ${JSON.stringify(uri)}`);
  return role;
}

function refusal(problem: string, need = "spiffe://<domain>/agent|controller|user/<name>"): Fault {
  return new Fault("unauthenticated", `the certificate ${problem}`, {
    need,
    fix: "issue a certificate with `ferry pki issue`",
  });
}
