/**
 * A real sshd on the loopback, with keys, configuration and a /run of its own, in namespaces that end with it: nothing of
 * the machine's sshd or accounts is used but the name of whoever runs the test.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { SshAccess } from "../../../agent/os/ssh-carrier.js";
import { freePort } from "../../free-port.js";
import { until } from "./transfer-world.js";

const OWN_RUN = `mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f "$0"`;

export class SshDaemon {
  readonly #folder: string;
  readonly port: number;
  #process: ChildProcess | undefined;
  #said = "";

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async start(folder: string, settings: readonly string[] = []): Promise<SshDaemon> {
    const daemon = new SshDaemon(folder, await freePort());
    for (const name of ["host-key", "user-key"]) daemon.#makeKey(name);
    daemon.authorize();
    writeFileSync(daemon.#at("known-hosts"), `h2,[h2]:${daemon.port} ${daemon.hostKey}`);
    writeFileSync(daemon.#at("sshd-config"), daemon.#config(settings));
    await daemon.run();
    return daemon;
  }

  get hostKey(): string {
    return readFileSync(this.#at("host-key.pub"), "utf8");
  }

  /** What it has logged, at DEBUG1. */
  get log(): string {
    return this.#said;
  }

  get access(): SshAccess {
    const [keyFile, knownHostsFile] = [this.#at("user-key"), this.#at("known-hosts")];
    return {
      port: this.port,
      user: userInfo().username,
      keyFile,
      knownHostsFile,
      privateKey: () => readFileSync(keyFile, "utf8"),
      knownHosts: () => readFileSync(knownHostsFile, "utf8"),
    };
  }

  /** Lets our key in, with such options as authorized_keys knows. */
  authorize(options = "restrict,port-forwarding"): void {
    writeFileSync(
      this.#at("authorized-keys"),
      `${options} ${readFileSync(this.#at("user-key.pub"), "utf8")}`,
    );
  }

  async run(): Promise<void> {
    const namespaces = ["--mount", "--pid", "--fork", "--kill-child"];
    this.#process = spawn("unshare", [...namespaces, "sh", "-c", OWN_RUN, this.#at("sshd-config")]);
    this.#process.stderr?.on("data", chunk => {
      this.#said += chunk;
    });
    await until(() => answers(this.port), `sshd listens: ${this.#said}`);
  }

  /** With every connection that it serves. */
  async kill(): Promise<void> {
    if (this.#process?.kill("SIGKILL")) await once(this.#process, "exit");
  }

  #at(name: string): string {
    return join(this.#folder, name);
  }

  #makeKey(name: string): void {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", this.#at(name)]);
  }

  #config(settings: readonly string[]): string {
    return [
      ...settings,
      `ListenAddress 127.0.0.1:${this.port}`,
      `HostKey ${this.#at("host-key")}`,
      `AuthorizedKeysFile ${this.#at("authorized-keys")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "PidFile none",
      "LogLevel DEBUG1",
      "",
    ].join("\n");
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise(resolve => {
    socket.once("data", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}
