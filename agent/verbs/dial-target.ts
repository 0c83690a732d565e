/**
 * How this host dials another agent's data port: with its certificate, and through ssh where that is configured. Keys and
 * certificates are read anew for each connection, so that renewed ones count at once.
 */

import { readFileSync, statSync } from "node:fs";
import { Fault } from "../../proto/fault.js";
import type { SshConfig } from "../config.js";
import type { SshAccess } from "../os/ssh-carrier.js";
import type { Carrier } from "../transfer/carrier.js";
import type { Destination } from "../transfer/channel.js";
import type { World } from "./verb.js";

export const dialTarget = ({
  tls,
  config,
}: Pick<World, "tls" | "config">): Pick<Destination, "tls" | "carrier"> => ({
  tls: () => ({
    ca: tls.material.ca.toString(),
    cert: tls.material.cert.toString(),
    key: tls.material.key.toString(),
    revoked: tls.material.revoked,
  }),
  carrier: config.ssh && carrierOf(config.ssh),
});

function carrierOf({ port, user, key_file: keyFile, known_hosts_file: knownHostsFile }: SshConfig): Carrier {
  const privateKey = () => readSecret(keyFile);
  const knownHosts = () => readText(knownHostsFile);
  const access: SshAccess = { port, user, keyFile, knownHostsFile, privateKey, knownHosts };
  return {
    reach: async (...way) => {
      // Few hosts need ssh, and it would make every agent's start longer.
      const { SshCarrier } = await import("../os/ssh-carrier.js");
      return await new SshCarrier(access).reach(...way);
    },
  };
}

function readSecret(path: string): string {
  const text = readText(path);
  const { mode } = statSync(path);
  if ((mode & 0o077) === 0) return text;
  throw new Fault("refused", `others may read the ssh key ${path}`, {
    have: `mode ${(mode & 0o777).toString(8)}`,
    need: "mode 600",
    fix: `chmod 600 ${path}`,
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault("refused", `the ssh carrier needs ${path}: ${reason}`, {
      fix: "see [ssh] in agent.toml",
    });
  }
}
