/**
 * As much of Keystone (v3) as the OpenStack clients need to log in: tokens by password or by token, their catalog with
 * one compute endpoint, and looking at or giving up a token. Users and projects are those of the credential file; a
 * name is its own id. There is one domain, `default`.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Role } from "../../../../proto/identity.js";
import { parseBody } from "../json-body.js";
import { originOf } from "../origin.js";
import { type AuthRequest, readAuthRequest } from "./auth-request.js";
import type { Credentials, User } from "./credentials.js";
import { IdentityError } from "./identity-error.js";
import type { IssuedToken, Tokens } from "./tokens.js";

export class IdentityRoutes {
  readonly #credentials: Credentials;
  readonly #tokens: Tokens;

  constructor(credentials: Credentials, tokens: Tokens) {
    this.#credentials = credentials;
    this.#tokens = tokens;
  }

  add(app: FastifyInstance): void {
    app.get(
      "/v3",
      guarded(async (request, reply) => reply.send({ version: versionOf(request) })),
    );
    app.post(
      "/v3/auth/tokens",
      guarded((request, reply) => this.#logIn(request, reply)),
    );
    app.get(
      "/v3/auth/tokens",
      guarded((request, reply) => this.#look(request, reply)),
    );
    app.delete(
      "/v3/auth/tokens",
      guarded((request, reply) => this.#giveUp(request, reply)),
    );
    app.get(
      "/v3/auth/catalog",
      guarded(async (request, reply) => {
        await this.#caller(request);
        return reply.send({
          catalog: catalogOf(request),
          links: { self: `${originOf(request)}/v3/auth/catalog` },
        });
      }),
    );
    app.get(
      "/v3/auth/projects",
      guarded(async (request, reply) => {
        const { projects } = await this.#caller(request);
        return reply.send({ projects: projects.map(projectOf), links: {} });
      }),
    );
  }

  async #logIn(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const asked = readAuthRequest(parseBody(request.body));
    const { user, until } = await this.#prove(asked);
    const project = scopeOf(asked, user);
    const { token, issued } = this.#tokens.issue(user.name, project, { method: asked.method, until });
    return reply
      .code(201)
      .header("X-Subject-Token", token)
      .send({ token: tokenView(request, issued, user) });
  }

  async #prove(asked: AuthRequest): Promise<{ user: User; until: number }> {
    if (asked.method === "password") {
      const user = await this.#credentials.byPassword(asked.user, asked.password);
      if (user === undefined) throw unauthenticated();
      return { user, until: Number.POSITIVE_INFINITY };
    }
    const issued = await this.#tokens.find(asked.token);
    const user = issued && this.#credentials.find(issued.user);
    if (issued === undefined || user === undefined) throw unauthenticated();
    return { user, until: issued.expiresAtMs };
  }

  /** Everybody may look at their own token, administrators at any. */
  async #look(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { subject, issued } = await this.#subject(request);
    const user = this.#credentials.find(issued.user);
    if (user === undefined) throw new IdentityError(404, "Could not find token.");
    return reply.header("X-Subject-Token", subject).send({ token: tokenView(request, issued, user) });
  }

  async #giveUp(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { issued } = await this.#subject(request);
    await this.#tokens.revoke(issued);
    return reply.code(204).send();
  }

  async #subject(request: FastifyRequest): Promise<{ subject: string; issued: IssuedToken }> {
    const caller = await this.#caller(request);
    const subject = headerOf(request, "x-subject-token");
    const issued = await this.#tokens.find(subject);
    if (issued === undefined || (issued.user !== caller.name && caller.role !== "admin"))
      throw new IdentityError(404, "Could not find token.");
    return { subject, issued };
  }

  async #caller(request: FastifyRequest): Promise<User> {
    const issued = await this.#tokens.find(headerOf(request, "x-auth-token"));
    const user = issued && this.#credentials.find(issued.user);
    if (user === undefined) throw unauthenticated();
    return user;
  }
}

const headerOf = ({ headers }: FastifyRequest, name: string): string => {
  const value = headers[name];
  return typeof value === "string" ? value : "";
};

const unauthenticated = () => new IdentityError(401, "The request you have made requires authentication.");

type Respond = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** Keystone's errors have another shape than Nova's. */
function guarded(respond: Respond): Respond {
  return async (request, reply) => {
    reply.header("x-openstack-request-id", request.id).header("Vary", "X-Auth-Token");
    try {
      return await respond(request, reply);
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      return reply.code(error.status).send(error.body);
    }
  };
}

/** The project that was asked for, if it is one of the user's; without a wish, the first. */
function scopeOf({ project, isUnscoped }: AuthRequest, { projects }: User): string {
  if (isUnscoped) return "";
  if (project === "") return projects[0] ?? "";
  if (projects.includes(project)) return project;
  throw unauthenticated();
}

const DOMAIN = { id: "default", name: "Default" };

const projectOf = (name: string) => ({
  id: name,
  name,
  domain_id: DOMAIN.id,
  domain: DOMAIN,
  enabled: true,
});

/** Keystone's roles include the lesser ones by implication. */
const ROLES: Readonly<Record<Role, readonly string[]>> = {
  admin: ["admin", "manager", "member", "reader"],
  manager: ["manager", "member", "reader"],
  member: ["member", "reader"],
};

function tokenView(request: FastifyRequest, issued: IssuedToken, { name, role }: User): object {
  const scope =
    issued.project === ""
      ? {}
      : {
          project: { id: issued.project, name: issued.project, domain: DOMAIN },
          roles: ROLES[role].map(granted => ({ id: granted, name: granted })),
          is_domain: false,
          catalog: catalogOf(request),
        };
  return {
    methods: [issued.method],
    user: { id: name, name, domain: DOMAIN, password_expires_at: null },
    audit_ids: [issued.auditId],
    issued_at: timeOf(issued.issuedAtMs),
    expires_at: timeOf(issued.expiresAtMs),
    ...scope,
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString().replace(/\.(\d{3})Z$/, ".$1000Z");

const catalogOf = (request: FastifyRequest) => [
  service("compute", "nova", `${originOf(request)}/v2.1`),
  service("image", "glance", `${originOf(request)}/image`),
  service("identity", "keystone", `${originOf(request)}/v3`),
];

const service = (type: string, name: string, url: string) => ({
  id: name,
  type,
  name,
  endpoints: ["public", "internal", "admin"].map(kind => ({
    id: `${name}-${kind}`,
    interface: kind,
    region: "RegionOne",
    region_id: "RegionOne",
    url,
  })),
});

const versionOf = (request: FastifyRequest) => ({
  id: "v3.14",
  status: "stable",
  updated: "2020-04-07T00:00:00Z",
  links: [{ rel: "self", href: `${originOf(request)}/v3/` }],
  "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v3+json" }],
});
