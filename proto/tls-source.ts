/**
 * The certificate files of one process, and their renewal while it runs.
 *
 * `watch` looks at the files every so often. New files are used by new connections once they are readable, belong
 * together and speak for the same identity; until then the old ones stay in use, so a half-written renewal never
 * takes a daemon off the network. Open connections keep the certificate they began with: servers end them after an
 * hour at most (rpc-options.ts). This is the only file that touches grpc-js's experimental certificate providers.
 */

import { statSync } from "node:fs";
import {
  type ChannelCredentials,
  experimental,
  type ServerCredentials,
  type VerifyOptions,
} from "@grpc/grpc-js";
import { asFault, Fault } from "./fault.js";
import { identityLabel } from "./identity.js";
import { readTlsFiles, type TlsMaterial, type TlsPaths } from "./tls-files.js";

interface AuthorityUpdate {
  readonly caCertificate: Buffer;
}
interface OwnUpdate {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}
type Listener<Update> = (update: Update | null) => void;

export interface WatchOptions {
  readonly intervalMs?: number;
  /** New files were taken into use, or were refused; a refusal is told once per change of the files. */
  readonly onRenewal?: (outcome: TlsMaterial | Fault) => void;
}

export class TlsSource {
  readonly paths: TlsPaths;
  #material: TlsMaterial;
  #stamp: string;
  #timer: NodeJS.Timeout | undefined;
  readonly #authorityListeners = new Set<Listener<AuthorityUpdate>>();
  readonly #ownListeners = new Set<Listener<OwnUpdate>>();

  /** Reads the files now; throws the fault that names the file at fault. */
  constructor(paths: TlsPaths) {
    this.paths = paths;
    this.#stamp = stampOf(paths);
    this.#material = readTlsFiles(paths);
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /**
   * Requires a client certificate of our CA, and a handshake that ends in time: by itself Node waits two minutes for it.
   * Whoever then wants another protocol is told so, and has as long to hang up.
   */
  serverCredentials(handshakeMs: number): ServerCredentials {
    const credentials = experimental.createCertificateProviderServerCredentials(this, this, true);
    const made = credentials._getConstructorOptions.bind(credentials);
    credentials._getConstructorOptions = () => ({
      ...made(),
      handshakeTimeout: handshakeMs,
      unknownProtocolTimeout: handshakeMs,
    });
    return credentials;
  }

  channelCredentials(verify: VerifyOptions): ChannelCredentials {
    return experimental.createCertificateProviderChannelCredentials(this, this, verify);
  }

  watch({ intervalMs = 30_000, onRenewal }: WatchOptions = {}): void {
    this.unwatch();
    this.#timer = setInterval(() => this.#refresh(onRenewal), intervalMs).unref();
  }

  unwatch(): void {
    clearInterval(this.#timer);
  }

  addCaCertificateListener(listener: Listener<AuthorityUpdate>): void {
    this.#authorityListeners.add(listener);
    process.nextTick(() => listener(this.#authority()));
  }

  removeCaCertificateListener(listener: Listener<AuthorityUpdate>): void {
    this.#authorityListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: Listener<OwnUpdate>): void {
    this.#ownListeners.add(listener);
    process.nextTick(() => listener(this.#own()));
  }

  removeIdentityCertificateListener(listener: Listener<OwnUpdate>): void {
    this.#ownListeners.delete(listener);
  }

  #refresh(onRenewal: WatchOptions["onRenewal"]): void {
    try {
      const stamp = stampOf(this.paths);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#material = this.#sameIdentity(readTlsFiles(this.paths));
    } catch (error) {
      onRenewal?.(asFault(error).during("renew the certificate"));
      return;
    }
    for (const listener of this.#authorityListeners) listener(this.#authority());
    for (const listener of this.#ownListeners) listener(this.#own());
    onRenewal?.(this.#material);
  }

  #sameIdentity(renewed: TlsMaterial): TlsMaterial {
    const [was, is] = [this.#material.identity, renewed.identity];
    if (was.domain === is.domain && identityLabel(was) === identityLabel(is)) return renewed;
    throw new Fault(
      "refused",
      `${this.paths.cert} is now of ${identityLabel(is)}, not ${identityLabel(was)}`,
      {
        fix: "restart to change the identity",
      },
    );
  }

  #authority(): AuthorityUpdate {
    return { caCertificate: this.#material.ca };
  }

  #own(): OwnUpdate {
    return { certificate: this.#material.cert, privateKey: this.#material.key };
  }
}

/** Changes whenever one of the files is replaced or rewritten. */
function stampOf({ ca, cert, key, revoked }: TlsPaths): string {
  const paths = [ca, cert, key, ...(revoked === undefined ? [] : [revoked])];
  const stamps = paths.map(path => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? "absent" : `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
  });
  return stamps.join(" ");
}
