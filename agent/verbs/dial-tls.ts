/** This agent's certificate for connections to other agents' data ports, read anew for each. */

import type { TlsMaterial } from "../transfer/channel.js";
import type { World } from "./verb.js";

export const dialTls =
  ({ tls }: Pick<World, "tls">) =>
  (): TlsMaterial => ({
    ca: tls.material.ca.toString(),
    cert: tls.material.cert.toString(),
    key: tls.material.key.toString(),
  });
