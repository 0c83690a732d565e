/**
 * Nova's REST API and the little of Keystone that its clients need, as one fastify application.
 *
 *   request → id → microversion → who is it → route → the same handlers as gRPC → Nova's JSON
 *
 * Every answer carries the request id, and the version it was made for. Nothing here decides anything.
 */

import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import {
  httpLimits,
  httpsLimits,
  LISTENER_LIMITS,
  type ListenerLimits,
  limitConnections,
} from "../../../proto/listener-limits.js";
import type { LocalCalls } from "../local-calls.js";
import type { Authenticate } from "./identity/authenticate.js";
import type { IdentityRoutes } from "./identity/identity-service.js";
import { parseBody } from "./json-body.js";
import { MAX_VERSION, MIN_VERSION, negotiate, versionHeaders } from "./microversion.js";
import { NovaError, novaErrorOf } from "./nova-error.js";
import { originOf } from "./origin.js";
import { type Answer, noSuchResource, type Route } from "./route.js";
import { IMAGE_BASE, imageVersions } from "./routes/images.js";

export interface NovaApiOptions {
  readonly calls: LocalCalls;
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  /** Absent: no identity service. */
  readonly identity?: IdentityRoutes;
  readonly newId: () => string;
  /** PEM of certificate and key; absent: plain HTTP. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly limits?: ListenerLimits;
  /** Told what was not a refusal but a bug or a failure. */
  readonly onFailure: (thrown: unknown, path: string) => void;
}

const BODY_LIMIT_BYTES = 1024 * 1024;

export function novaApi(options: NovaApiOptions): FastifyInstance {
  const limits = options.limits ?? LISTENER_LIMITS;
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    genReqId: () => `req-${options.newId()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => void refuse(options, error, request as FastifyRequest, reply),
    ...(options.tls === undefined
      ? { http: httpLimits(limits) }
      : { https: { ...options.tls, ...httpsLimits(limits) } }),
  }) as unknown as FastifyInstance;
  limitConnections(app.server, limits);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, text, done) => {
    done(null, { text });
  });
  app.setErrorHandler((error, request, reply) => refuse(options, error, request, reply));
  app.setNotFoundHandler((request, reply) => refuse(options, noSuchResource(), request, reply));
  addDiscovery(app);
  options.identity?.add(app);
  for (const route of options.routes) addRoute(app, route, options);
  return app;
}

function addRoute(app: FastifyInstance, route: Route, { authenticate, calls }: NovaApiOptions): void {
  app.route({
    method: route.method,
    url: `${route.base ?? "/v2.1"}${route.path}`,
    handler: async (request, reply) => {
      const version = negotiate(request.headers);
      reply.headers(versionHeaders(version));
      const identity = await authenticate(request.headers);
      if (version < (route.since ?? 1) || version > (route.until ?? Number.MAX_SAFE_INTEGER))
        throw noSuchResource();
      const gone = new AbortController();
      request.raw.once("close", () => gone.abort());
      const answer = await route.answer({
        version,
        identity,
        requestId: request.id,
        call: calls.as({ identity, requestId: request.id, signal: gone.signal }),
        origin: originOf(request),
        params: request.params as Record<string, string>,
        query: flatQuery(request.query),
        body: parseBody(request.body),
      });
      return send(request, reply, answer);
    },
  });
}

function send(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, body, headers = {} }: Answer,
): FastifyReply {
  reply.code(status).headers({ ...requestIds(request), ...headers });
  if (body === undefined) return reply.send();
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return reply.type("application/json").send(text);
}

const requestIds = ({ id }: FastifyRequest) => ({ "x-openstack-request-id": id, "x-compute-request-id": id });

function refuse(
  { onFailure }: NovaApiOptions,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = frameworkError(thrown) ?? novaErrorOf(thrown);
  if (error.status >= 500 && !(thrown instanceof NovaError))
    onFailure(thrown, `${request.method} ${request.url}`);
  reply.headers(error.headers);
  return send(request, reply, { status: error.status, body: error.body });
}

/** What fastify itself refuses: too large, not JSON, a path that cannot be decoded. */
function frameworkError(thrown: unknown): NovaError | undefined {
  if (thrown instanceof NovaError || !(thrown instanceof Error) || !("statusCode" in thrown))
    return undefined;
  if (thrown.statusCode === 413) return new NovaError(413, "Request is too large.");
  if (thrown.statusCode === 415) return new NovaError(415, "Unsupported Content-Type");
  return Number(thrown.statusCode) < 500 ? new NovaError(400, "Malformed request url") : undefined;
}

function addDiscovery(app: FastifyInstance): void {
  app.get("/", (request, reply) =>
    send(request, reply, { status: 300, body: { versions: [versionEntry(request)] } }),
  );
  app.get(IMAGE_BASE, (request, reply) =>
    send(request, reply, { status: 300, body: imageVersions(originOf(request)) }),
  );
  // Asked without credentials, and for no version in particular.
  app.get("/v2.1", (request, reply) => {
    reply.header("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version");
    return send(request, reply, { status: 200, body: { version: versionEntry(request) } });
  });
}

const versionEntry = (request: FastifyRequest) => ({
  id: "v2.1",
  status: "CURRENT",
  version: MAX_VERSION,
  min_version: MIN_VERSION,
  updated: "2013-07-23T11:33:21Z",
  links: [
    { rel: "self", href: `${originOf(request)}/v2.1/` },
    { rel: "describedby", type: "text/html", href: "http://docs.openstack.org/" },
  ],
  "media-types": [{ base: "application/json", type: "application/vnd.openstack.compute+json;version=2.1" }],
});

function flatQuery(query: unknown): Record<string, string> {
  const entries = Object.entries(query as Record<string, string | string[]>);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? (value.at(-1) ?? "") : value]),
  );
}
