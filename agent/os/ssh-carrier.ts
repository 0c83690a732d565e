/**
 * The `ssh` carrier, for sites where port 22 is all that is open between hosts: each connection to the target's data port
 * goes through the target's own sshd, as with `ssh -L`.
 *
 *   engine ─ TCP, loopback ─▶ this process ─ ssh ─▶ sshd of the target ─ TCP, its own host ─▶ data port
 *
 * Promises: an sshd is believed only by a host key that is pinned, and our key is shown to no other; what it carries is
 * TLS between the two agents all the same, so neither sshd nor whoever holds the key can read or change a disk. The
 * key needs no shell: `restrict,port-forwarding,permitopen="ADDRESS:PORT"`. Bytes pass through JavaScript, here only.
 */

import { createServer, type Server, type Socket } from "node:net";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import { Fault } from "../../proto/fault.js";
import type { Carrier, Reached, Way } from "../transfer/carrier.js";
import { ConnectionLost } from "../transfer/engine-fault.js";
import { fingerprintOf, type HostKey, hostKeysOf } from "../transfer/known-hosts.js";

export interface SshAccess {
  readonly port: number;
  readonly user: string;
  /** Of files, read anew for each connection. */
  readonly privateKey: () => string;
  readonly knownHosts: () => string;
  /** How messages call the two files. */
  readonly keyFile: string;
  readonly knownHostsFile: string;
}

/** Fast with the instructions that CPUs have for them; the first that the sshd knows, too, is taken. */
const CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr"] as const;

/** An RSA key signs in two ways; the old one with SHA-1 is not asked for. */
const SIGNATURES: Readonly<Record<string, readonly string[]>> = {
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};

export class SshCarrier implements Carrier {
  readonly #access: SshAccess;

  constructor(access: SshAccess) {
    this.#access = access;
  }

  async reach(to: Way, timeoutMs: number, signal: AbortSignal): Promise<Reached> {
    const client = new ssh2.Client();
    // Whatever comes after it is connected shows in its channel.
    client.on("error", () => {});
    const onAbort = () => client.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await connect(client, this.#access, to, timeoutMs);
      const channel = await forward(client, this.#access, to, timeoutMs);
      return await offer(client, channel);
    } catch (thrown) {
      client.destroy();
      throw thrown;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

const attemptAt = ({ user, port }: SshAccess, { address, expectHost }: Way): string =>
  `connect to the sshd of ${expectHost} as ${user}@${address}:${port}`;

function connect(client: Client, access: SshAccess, to: Way, timeoutMs: number): Promise<void> {
  const { port, user, privateKey, knownHosts, knownHostsFile } = access;
  const attempt = attemptAt(access, to);
  const { known, revoked } = hostKeysOf(knownHosts(), [to.expectHost, to.address], port);
  if (known.length === 0) throw unknownHost(attempt, to, access);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let refused: Fault | undefined;
  const hostVerifier = (shown: Buffer): boolean => {
    const key = shown.toString("base64");
    if (known.some(one => one.key === key) && !revoked.some(one => one.key === key)) return true;
    const expected = known.map(one => fingerprintOf(Buffer.from(one.key, "base64"))).join(" ");
    refused = new Fault("unauthenticated", `${attempt}: it shows another host key than is known`, {
      have: fingerprintOf(shown),
      need: expected,
      fix: `find out why; if the host was installed anew, correct ${knownHostsFile}`,
    });
    return false;
  };
  client
    .once("ready", resolve)
    .once("error", error => reject(refused ?? connectFault(error, attempt, access)))
    .once("close", () => reject(refused ?? new ConnectionLost("unreachable", `${attempt}: it closed`)));
  const key = privateKey();
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw unusableKey(parsed, access);
  client.connect({
    host: to.address,
    port,
    username: user,
    privateKey: key,
    readyTimeout: timeoutMs,
    hostVerifier,
    algorithms: { cipher: [...CIPHERS], serverHostKey: signaturesOf(known) },
  } as Parameters<Client["connect"]>[0]);
  return promise;
}

/** An sshd has several keys; it is asked for one that we can check. */
const signaturesOf = (keys: readonly HostKey[]): string[] => [
  ...new Set(keys.flatMap(({ type }) => SIGNATURES[type] ?? [type])),
];

/** An sshd that dials a port which drops everything would answer after minutes. */
function forward(client: Client, access: SshAccess, to: Way, timeoutMs: number): Promise<ClientChannel> {
  const attempt = `${attemptAt(access, to)}, and from there to port ${to.port}`;
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  const tooLate = () => reject(new ConnectionLost("timeout", `${attempt}: no answer`));
  const timer = setTimeout(tooLate, timeoutMs);
  client.once("close", () => reject(new ConnectionLost("unreachable", `${attempt}: it closed`)));
  client.forwardOut("127.0.0.1", 0, to.address, to.port, (error, channel) => {
    if (error === undefined) resolve(channel);
    else reject(forwardFault(error, attempt, to));
  });
  return promise.finally(() => clearTimeout(timer));
}

/** A port on the loopback that one connection may be made to: it is joined to the channel. */
async function offer(client: Client, channel: ClientChannel): Promise<Reached> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const giveUp = () => {
    server.close();
    client.destroy();
  };
  client.once("close", () => server.close());
  server.once("connection", socket => {
    server.close();
    join(socket, channel, client);
  });
  const port = await listening(server);
  return { address: "127.0.0.1", port, release: () => (server.listening ? giveUp() : undefined) };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("a TCP server has a port");
  return address.port;
}

/** Ends of either side are passed on; a loss of one ends the other. */
function join(socket: Socket, channel: ClientChannel, client: Client): void {
  socket.on("error", () => {}).on("close", () => client.destroy());
  channel.on("error", () => {}).on("close", () => socket.destroy());
  client.on("close", () => socket.destroy());
  socket.pipe(channel).pipe(socket);
}

function connectFault(
  error: Error & { level?: string; code?: string },
  attempt: string,
  access: SshAccess,
): Fault {
  const message = `${attempt}: ${error.message}`;
  const cause = { cause: error };
  if (error.level === "client-timeout") return new ConnectionLost("timeout", message, {}, cause);
  if (error.level === "client-socket") return new ConnectionLost("unreachable", message, {}, cause);
  if (error.level !== "client-authentication") return new Fault("failed", message, {}, cause);
  const detail = {
    have: `the key ${access.keyFile}`,
    need: `a key that ${access.user} may log in with there`,
    fix: `put its public key into authorized_keys of ${access.user} on the target`,
  };
  return new Fault("permission-denied", `${attempt}: it does not accept our key`, detail, cause);
}

/** RFC 4254, 5.1: 1 is prohibited, 2 is nobody listening there. */
function forwardFault(error: Error & { reason?: number | string }, attempt: string, to: Way): Fault {
  const message = `${attempt}: ${error.message}`;
  const cause = { cause: error };
  const isProhibited = error.reason === 1 || error.reason === "ADMINISTRATIVELY_PROHIBITED";
  if (!isProhibited) return new ConnectionLost("unreachable", message, {}, cause);
  const detail = {
    have: "an sshd that forwards nothing for us",
    need: `AllowTcpForwarding local, and permitopen="${to.address}:${to.port}" for the key`,
    fix: "correct sshd_config or authorized_keys on the target",
  };
  return new Fault("permission-denied", `${attempt}: it is not allowed`, detail, cause);
}

const unknownHost = (
  attempt: string,
  { address, expectHost }: Way,
  { port, knownHostsFile }: SshAccess,
): Fault =>
  new Fault("refused", `${attempt}: its host key is not known`, {
    have: `no key of ${expectHost} or ${address} in ${knownHostsFile}`,
    need: "a pinned host key",
    fix: `ssh-keyscan -p ${port} ${address} >>${knownHostsFile}, and compare with what the target's console says`,
  });

const unusableKey = (error: Error, { keyFile }: SshAccess): Fault =>
  new Fault("refused", `${keyFile} is no key that can be used: ${error.message}`, {
    need: "a private key without passphrase, in OpenSSH's or PEM format",
    fix: `ssh-keygen -t ed25519 -N "" -f ${keyFile}`,
  });
