/**
 * What this host may run, as the libvirt hook reads it: one file per server in STATE_DIR/guests.
 *
 *     allow <incarnation>      only this incarnation may start
 *     deny <reason>            nothing may; the reason is the sentence that a person sees
 *
 * Every write is atomic, durable and read back before it counts. No file is ever removed because some record is
 * missing: a server that nobody denies is refused by the hook all the same, and that is the safe side.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import { removeDurably, writeDurably } from "./durable-file.js";

export type Verdict =
  | { readonly kind: "allow"; readonly incarnation: string }
  | { readonly kind: "deny"; readonly reason: string }
  /** There is a file and it says nothing that the hook accepts: nothing may start. */
  | { readonly kind: "unreadable" };

/** A server whose latest word in the journal is that `incarnation` must not run here. */
export interface Denial {
  readonly server: string;
  readonly incarnation: string;
  readonly reason: string;
}

export interface GuestFiles {
  /** Undefined: this host knows nothing of the server. */
  read(server: string): Promise<Verdict | undefined>;
  allow(server: string, incarnation: string): Promise<void>;
  deny(server: string, reason: string): Promise<void>;
  /** Only after the server has been deleted: from here on this host does not know it. */
  forget(server: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

/** `stateDir` is the hook's STATE_DIR, /var/lib/ferry on a real host. */
export function guestFiles(stateDir: string): GuestFiles {
  const directory = join(stateDir, "guests");
  const pathOf = (server: string): string => join(directory, requireUuid(server));

  const read = async (server: string): Promise<Verdict | undefined> => {
    const text = await readOrUndefined(pathOf(server));
    return text === undefined ? undefined : parseVerdict(text);
  };
  const write = async (server: string, line: string): Promise<void> => {
    await writeDurably(pathOf(server), `${line}\n`, { mode: 0o644 });
    if ((await readOrUndefined(pathOf(server))) === `${line}\n`) return;
    throw new Fault("failed", `write ${pathOf(server)}: it does not read back as written`);
  };
  return {
    read,
    allow: async (server, incarnation) => write(server, `allow ${requireOneWord(incarnation)}`),
    deny: async (server, reason) => write(server, `deny ${oneLine(reason)}`),
    forget: async server => removeDurably(pathOf(server)),
    list: async () => (await namesIn(directory)).filter(name => UUID.test(name)),
  };
}

/**
 * Before the agent serves: the files deny at least what the journal denies (SAFETY R9). An allowance for another
 * incarnation stays, because it already refuses the denied one. Answers the servers whose file was rewritten.
 */
export async function rebuildDenials(files: GuestFiles, denials: readonly Denial[]): Promise<string[]> {
  const rebuilt: string[] = [];
  for (const { server, incarnation, reason } of denials) {
    if (excludes(await files.read(server), incarnation)) continue;
    await files.deny(server, reason);
    rebuilt.push(server);
  }
  return rebuilt;
}

/** Does the hook, reading this, refuse the incarnation and say why? */
export const excludes = (verdict: Verdict | undefined, incarnation: string): boolean =>
  verdict?.kind === "deny" || (verdict?.kind === "allow" && verdict.incarnation !== incarnation);

function parseVerdict(text: string): Verdict {
  const [, word, rest] = /^(allow|deny) ([^\n]+)\n$/.exec(text) ?? [];
  if (rest === undefined) return { kind: "unreadable" };
  return word === "allow" ? { kind: "allow", incarnation: rest } : { kind: "deny", reason: rest };
}

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The name of a file below a directory of ours: nothing but libvirt's spelling of a uuid. */
function requireUuid(server: string): string {
  if (UUID.test(server)) return server;
  throw new Fault("invalid-argument", `${JSON.stringify(server)} is not a uuid in lower case`);
}

function requireOneWord(incarnation: string): string {
  if (/^[\w./-]{1,512}$/.test(incarnation)) return incarnation;
  throw new Fault("invalid-argument", `${JSON.stringify(incarnation)} is not an incarnation id`);
}

const oneLine = (reason: string): string => reason.replace(/\s+/g, " ").trim() || "denied by Ferry";
