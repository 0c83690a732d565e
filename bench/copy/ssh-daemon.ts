/**
 * An sshd of our own: own port, own keys, own configuration, nothing of the machine's.
 *
 * It insists on a folder in /run, so it gets a /run of its own in a mount namespace that ends with it.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../../proto/fault.js";
import type { Running, Stage } from "./stage.js";

export const SSHD = "/usr/sbin/sshd";

/** Its name in the client's configuration. */
export const SSH_HOST = "target";

export interface SshDaemon {
  /** For `ssh -F`. */
  readonly clientConfig: string;
  /** Resolves when no connection is served any more. */
  idle(): Promise<void>;
}

const PRIVATE_RUN = `mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec ${SSHD} -D -e -f "$0"`;
const IDLE_LIMIT_MS = 10_000;

export async function startSshDaemon(stage: Stage): Promise<SshDaemon> {
  const port = await stage.freePort();
  const within = (name: string) => join(stage.folder, name);
  for (const name of ["host-key", "user-key"]) makeKey(within(name));
  copyFileSync(within("user-key.pub"), within("authorized-keys"));
  const hostKey = readFileSync(within("host-key.pub"), "utf8");
  writeFileSync(within("known-hosts"), `${SSH_HOST} ${hostKey}`);
  writeFileSync(within("sshd-config"), serverConfig(stage, within, port));
  writeFileSync(within("ssh-config"), clientConfig(stage, within, port));
  const command = ["unshare", "--mount", "sh", "-c", PRIVATE_RUN, within("sshd-config")];
  const server = stage.start("target", command);
  await stage.listening(server, port);
  return { clientConfig: within("ssh-config"), idle: () => idle(stage, server) };
}

function makeKey(path: string): void {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "ferry-bench", "-f", path], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

const serverConfig = (stage: Stage, within: (name: string) => string, port: number): string =>
  [
    `ListenAddress ${stage.network.address}:${port}`,
    `HostKey ${within("host-key")}`,
    `AuthorizedKeysFile ${within("authorized-keys")}`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "PermitRootLogin prohibit-password",
    "PidFile none",
    "LogLevel ERROR",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");

const clientConfig = (stage: Stage, within: (name: string) => string, port: number): string =>
  [
    `Host ${SSH_HOST}`,
    `  HostName ${stage.network.address}`,
    `  HostKeyAlias ${SSH_HOST}`,
    `  Port ${port}`,
    `  User ${userInfo().username}`,
    `  IdentityFile ${within("user-key")}`,
    "  IdentitiesOnly yes",
    "  IdentityAgent none",
    `  UserKnownHostsFile ${within("known-hosts")}`,
    "  StrictHostKeyChecking yes",
    "  BatchMode yes",
    "  LogLevel ERROR",
    "",
  ].join("\n");

async function idle(stage: Stage, server: Running): Promise<void> {
  const deadline = Date.now() + IDLE_LIMIT_MS;
  while (stage.account.processes.some(pid => pid !== server.pid)) {
    if (Date.now() > deadline) throw new Fault("timeout", "the ssh connection did not end");
    await pause(2);
  }
}
