/** Brings the REST face up on its listener, with the operator's choice of who is let in. */

import { once } from "node:events";
import type { Logger } from "pino";
import { asFault, Fault } from "../../../proto/fault.js";
import type { ServiceImplementation } from "../../../proto/rpc-server.js";
import { parseServerAddress } from "../../../proto/server-address.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import type { RestConfig } from "../../config.js";
import type { Policy } from "../../policy/policy.js";
import type { Transactions } from "../../store/store.js";
import { LocalCalls } from "../local-calls.js";
import { authenticateNobody, authenticator } from "./identity/authenticate.js";
import { Credentials } from "./identity/credentials.js";
import { IdentityRoutes } from "./identity/identity-service.js";
import { Tokens } from "./identity/tokens.js";
import { type NovaApiOptions, novaApi } from "./nova-api.js";
import { novaRoutes } from "./routes/routes.js";

export interface NovaServerOptions {
  readonly config: RestConfig;
  readonly services: readonly ServiceImplementation[];
  readonly policy: Policy;
  readonly tls: TlsSource;
  readonly store: Transactions;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface NovaServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function serveNova({
  config,
  services,
  policy,
  tls,
  store,
  newId,
  nowMs,
  log,
}: NovaServerOptions): Promise<NovaServer> {
  const onFailure = (thrown: unknown, path: string) => log.error({ path, err: thrown }, "REST call failed");
  const onProblem = (fault: Fault) => log.error({ fault: fault.message }, "credential file not taken");
  const app = novaApi({
    calls: new LocalCalls(services, policy),
    routes: novaRoutes({
      images: config.images,
      ...(config.network === undefined ? {} : { network: config.network }),
    }),
    ...(await lockOf({ config, store, nowMs, onProblem })),
    newId,
    ...(config.tls ? { tls: { cert: tls.material.cert, key: tls.material.key } } : {}),
    onFailure,
  });
  if (config.tls) followRenewals(tls, app.server);
  const { host, port } = parseServerAddress(config.listen, 0);
  try {
    await app.ready();
    // Not by Fastify's own listen: it asks for all addresses of the machine, which the sandbox does not let it.
    app.server.listen(port, host);
    await once(app.server, "listening");
  } catch (error) {
    throw asFault(error).during(`serve REST on ${config.listen}`);
  }
  const address = app.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    async close() {
      await app.close();
      if (!app.server.listening) return;
      app.server.close();
      await once(app.server, "close");
    },
  };
}

interface LockOptions extends Pick<NovaServerOptions, "config" | "store" | "nowMs"> {
  readonly onProblem: (fault: Fault) => void;
}

async function lockOf({
  config,
  store,
  nowMs,
  onProblem,
}: LockOptions): Promise<Pick<NovaApiOptions, "authenticate" | "identity">> {
  if (config.auth === "none") return { authenticate: authenticateNobody };
  if (config.credentials === undefined)
    throw new Fault("invalid-argument", "rest.credentials is missing", {
      fix: "name the credential file; ferry credential makes its entries",
    });
  const credentials = new Credentials(config.credentials, nowMs, onProblem);
  const tokens = await Tokens.open({ store, nowMs, secretsOf: name => credentials.secretsOf(name) });
  return {
    authenticate: authenticator(credentials, tokens),
    identity: new IdentityRoutes(credentials, tokens),
  };
}

/** New connections are made with the certificate as it is then. */
function followRenewals(tls: TlsSource, server: object): void {
  tls.addIdentityCertificateListener(own => {
    if (own === null || !("setSecureContext" in server) || typeof server.setSecureContext !== "function")
      return;
    server.setSecureContext({ cert: own.certificate, key: own.privateKey });
  });
}
