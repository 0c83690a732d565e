/**
 * The files of `ferry pki`: a folder that holds the CA, and output folders ready to be copied to a machine.
 *
 *     D/ca.crt  D/ca.key          O/ca.crt  O/agent.crt  O/agent.key      (or controller, or user)
 *
 * Keys are readable by their owner only, from the first byte. Nothing is overwritten unless told to.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { IdentityKind } from "../../proto/identity.js";
import type { Pair } from "./authority.js";

export interface Written {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function readAuthority(folder: string): Pair {
  const read = (name: string) => {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new Fault("invalid-argument", `read the CA in ${folder}: ${cause}`, {
        fix: `ferry pki init --dir ${folder}`,
      });
    }
  };
  return { certPem: read("ca.crt"), keyPem: read("ca.key") };
}

export function writeAuthority(folder: string, pair: Pair, force: boolean): Written {
  const written = { ca: join(folder, "ca.crt"), cert: join(folder, "ca.crt"), key: join(folder, "ca.key") };
  refuseExisting([written.cert, written.key], force);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFile(written.key, pair.keyPem, 0o600);
  writeFile(written.cert, pair.certPem, 0o644);
  return written;
}

export function writeIssued(
  folder: string,
  kind: IdentityKind,
  pair: Pair,
  caPem: string,
  force: boolean,
): Written {
  const written = {
    ca: join(folder, "ca.crt"),
    cert: join(folder, `${kind}.crt`),
    key: join(folder, `${kind}.key`),
  };
  refuseExisting([written.cert, written.key], force);
  refuseOtherAuthority(written.ca, caPem, force);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFile(written.key, pair.keyPem, 0o600);
  writeFile(written.cert, pair.certPem, 0o644);
  writeFile(written.ca, caPem, 0o644);
  return written;
}

function refuseExisting(paths: readonly string[], force: boolean): void {
  const existing = paths.filter(path => existsSync(path));
  if (existing.length === 0 || force) return;
  throw new Fault(
    "already-exists",
    `${existing.join(" and ")} already exist${existing.length === 1 ? "s" : ""}`,
    {
      fix: "choose another folder, or --force to replace",
    },
  );
}

function refuseOtherAuthority(path: string, caPem: string, force: boolean): void {
  if (force || !existsSync(path) || readFileSync(path, "utf8") === caPem) return;
  throw new Fault("already-exists", `${path} is of another CA`, {
    fix: "choose another folder, or --force to replace",
  });
}

/** Replaced in one step, so that a daemon that watches its files never reads half of one. */
function writeFile(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode, flag: "wx" });
  renameSync(temporary, path);
}
