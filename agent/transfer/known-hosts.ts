/**
 * Which keys an sshd may show, from a file in the format of OpenSSH's known_hosts: plain and hashed names, `[name]:port`
 * for other ports than 22, `@revoked` keys. Authorities (`@cert-authority`) are not followed: a host key is pinned or not
 * known. Pure.
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface HostKeys {
  /** Base64, as in the file. */
  readonly known: readonly HostKey[];
  readonly revoked: readonly HostKey[];
}

export interface HostKey {
  /** "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", … */
  readonly type: string;
  readonly key: string;
}

const SSH_PORT = 22;

/** The keys of the host that goes by any of these names, at that port. */
export function hostKeysOf(text: string, names: readonly string[], port: number): HostKeys {
  const wanted = names.map(name => (port === SSH_PORT ? name : `[${name}]:${port}`));
  const lines = text.split("\n").map(line => line.trim().split(/\s+/));
  const revoked = lines.filter(([mark]) => mark === "@revoked").map(([, ...rest]) => rest);
  const plain = lines.filter(([first = ""]) => first !== "" && !/^[#@]/.test(first));
  const ofThisHost = ([patterns = ""]: readonly string[]) => wanted.some(name => isNamed(patterns, name));
  const keyOf = ([, type = "", key = ""]: readonly string[]): HostKey => ({ type, key });
  return {
    known: plain.filter(ofThisHost).map(keyOf),
    // Whatever name it is said of: nobody shows a revoked key for a good reason.
    revoked: revoked.map(keyOf),
  };
}

/** Names are separated by commas; wildcards are not followed. */
function isNamed(patterns: string, name: string): boolean {
  if (!patterns.startsWith("|1|")) return patterns.split(",").includes(name);
  const [, , salt = "", hash = ""] = patterns.split("|");
  const expected = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  const have = Buffer.from(hash, "base64");
  return have.length === expected.length && timingSafeEqual(have, expected);
}

/** As `ssh-keygen -l` prints it. */
export const fingerprintOf = (key: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
