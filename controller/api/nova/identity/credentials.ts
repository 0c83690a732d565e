/**
 * The credential file: who may use the REST API, as what, and in which projects.
 *
 *     [users.ada]
 *     password = "scrypt$32768$8$1$<salt>$<hash>"     # made by `ferry credential`
 *     token = "scrypt$…"                              # of a static token `ada.<secret>`; optional
 *     role = "admin"                                  # member | manager | admin
 *     projects = ["blue"]                             # the first one is the default
 *
 * The file is read again when it changes; one that cannot be read leaves the last good one in use. Secrets are checked
 * with scrypt, a few at a time, and compared in constant time. What was right is remembered for a while under a keyed
 * hash, so that a client that sends its password with every call does not cost 50 ms of CPU each.
 */

import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import { asFault, type Fault } from "../../../../proto/fault.js";
import { isIdentityName, ROLES, type Role } from "../../../../proto/identity.js";
import { SECRET_PATTERN, verifySecret } from "../../../../proto/secret-hash.js";
import { parseConfig } from "../../../../proto/toml-config.js";
import { NovaError } from "../nova-error.js";

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly projects: readonly string[];
}

const secret = z.string().regex(SECRET_PATTERN, "must be made by `ferry credential`");
const fileSchema = z.strictObject({
  users: z.record(
    z.string().refine(isIdentityName, "must be a name"),
    z.strictObject({
      password: secret.optional(),
      token: secret.optional(),
      role: z.enum(ROLES),
      projects: z.array(z.string().regex(/^[\w.@-]{1,255}$/, "must be a name")).default([]),
    }),
  ),
});

type Users = z.infer<typeof fileSchema>["users"];

const REMEMBERED_MS = 5 * 60_000;
const MOST_REMEMBERED = 10_000;
const LOOK_AGAIN_MS = 2_000;
/** Each takes a core for some 50 ms and 32 MiB. */
const AT_A_TIME = 2;
const MOST_WAITING = 256;

export class Credentials {
  readonly #path: string;
  readonly #nowMs: () => number;
  readonly #onProblem: (fault: Fault) => void;
  readonly #key = randomBytes(32);
  readonly #remembered = new Map<string, number>();
  readonly #checking = new Map<string, Promise<boolean>>();
  #users: Users;
  #stamp: string;
  #lookedMs = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws the fault that names what is wrong with the file. */
  constructor(path: string, nowMs: () => number, onProblem: (fault: Fault) => void = () => {}) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.#onProblem = onProblem;
    this.#stamp = stampOf(path);
    this.#users = readUsers(path);
  }

  byPassword(name: string, password: string): Promise<User | undefined> {
    return this.#check(name, "password", password);
  }

  /** `<user>.<secret>` */
  byToken(token: string): Promise<User | undefined> {
    return this.#check(token.slice(0, Math.max(0, token.lastIndexOf("."))), "token", token);
  }

  /** As the file says now: a user who was taken out of it has no access any more. */
  find(name: string): User | undefined {
    this.#refresh();
    const entry = Object.hasOwn(this.#users, name) ? this.#users[name] : undefined;
    return entry && { name, role: entry.role, projects: entry.projects };
  }

  /** Changes whenever one of the user's secrets does. */
  secretsOf(name: string): string | undefined {
    if (this.find(name) === undefined) return undefined;
    const { password = "", token = "" } = this.#users[name] ?? {};
    return JSON.stringify([password, token]);
  }

  async #check(name: string, kind: "password" | "token", given: string): Promise<User | undefined> {
    const user = this.find(name);
    const stored = user && this.#users[name]?.[kind];
    const memory = createHmac("sha256", this.#key)
      .update(JSON.stringify([kind, name, given, stored]))
      .digest("base64");
    if (stored !== undefined && (this.#remembered.get(memory) ?? 0) > this.#nowMs()) return user;
    // Whoever does not exist takes as long as whoever gave a wrong password.
    const isRight = await this.#checkOnce(memory, given, stored ?? NOBODY);
    if (!isRight || stored === undefined) return undefined;
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(memory, this.#nowMs() + REMEMBERED_MS);
    return user;
  }

  /** The same secret that is sent many times at once is checked once. */
  #checkOnce(memory: string, given: string, stored: string): Promise<boolean> {
    const known = this.#checking.get(memory);
    if (known !== undefined) return known;
    const checking = this.#verify(given, stored).finally(() => this.#checking.delete(memory));
    this.#checking.set(memory, checking);
    return checking;
  }

  async #verify(given: string, stored: string): Promise<boolean> {
    if (this.#waiting.length >= MOST_WAITING) throw new NovaError(503, "Too many logins at once; try again.");
    if (this.#running >= AT_A_TIME) await new Promise<void>(resolve => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      return await verifySecret(given, stored);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #refresh(): void {
    if (this.#nowMs() - this.#lookedMs < LOOK_AGAIN_MS) return;
    this.#lookedMs = this.#nowMs();
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#users = readUsers(this.#path);
    } catch (error) {
      this.#onProblem(asFault(error));
    }
  }
}

/** The hash of a secret that nobody knows. */
const NOBODY = "scrypt$32768$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

function readUsers(path: string): Users {
  try {
    return parseConfig(fileSchema, readFileSync(path, "utf8"), path).users;
  } catch (error) {
    throw asFault(error).during("read credentials");
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "absent" : `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}
