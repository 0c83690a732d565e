/**
 * Applies the rules to a caller, with the operator's changes from the policy file:
 *
 *     "os_compute_api:os-migrate-server:migrate" = "admin"
 *
 * A refusal is Nova's sentence, and says what the caller is and what it would need.
 */

import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { asFault, Fault } from "../../proto/fault.js";
import type { PolicyRule } from "../../proto/gen/ferry/v1/placement.js";
import { type Identity, identityLabel, isRole, type Role } from "../../proto/identity.js";
import {
  AGENT_ONLY,
  CROSS_CELL,
  HEAL_PLACEMENT,
  METHOD_RULES,
  MIGRATE_BY_FORCE,
  MIGRATE_TO_HOST,
  type Rule,
  UNLOCK_OVERRIDE,
} from "./rules.js";

const RANK: Readonly<Record<Role, number>> = { member: 0, manager: 1, admin: 2 };

export class Policy {
  readonly #roles: ReadonlyMap<string, Role>;

  constructor(overrides: ReadonlyMap<string, Role> = new Map()) {
    this.#roles = overrides;
  }

  /** Reads a policy file; a rule or a role that does not exist is refused with its name. */
  static read(path: string): Policy {
    try {
      return Policy.parse(readFileSync(path, "utf8"));
    } catch (error) {
      throw asFault(error).during(`policy file ${path}`);
    }
  }

  static parse(text: string): Policy {
    const known = new Set(allRules().map(({ name }) => name));
    const overrides = Object.entries(tableOf(text)).map(([name, role]) => {
      if (!known.has(name))
        throw new Fault("invalid-argument", `there is no rule ${name}`, { have: [...known].join(", ") });
      if (typeof role !== "string" || !isRole(role)) {
        throw new Fault("invalid-argument", `${name}: ${JSON.stringify(role)} is no role`, {
          need: "admin, manager or member",
        });
      }
      return [name, role] as const;
    });
    return new Policy(new Map(overrides));
  }

  /** May this caller call this method at all? Ownership is asked later, when the server is known. */
  admit(identity: Identity, path: string): void {
    const rule = METHOD_RULES[path];
    if (rule === undefined) admitTools(path);
    else if (rule === AGENT_ONLY) admitAgent(identity, path);
    else this.require(identity, rule);
  }

  require(identity: Identity, rule: Rule): void {
    const needed = this.#roleFor(rule);
    if (!has(identity, needed)) throw denied(rule, describe(identity), needed);
  }

  /** Every rule once, as it is applied, and whether this caller has the role for it. */
  describe(identity: Identity): PolicyRule[] {
    const methods = new Map<string, string[]>();
    for (const [path, rule] of Object.entries(METHOD_RULES))
      if (rule !== AGENT_ONLY) methods.set(rule.name, [...(methods.get(rule.name) ?? []), path.slice(1)]);
    const rules = new Map(allRules().map(rule => [rule.name, rule]));
    return [...rules.values()].map(rule => ({
      name: rule.name,
      role: this.#roleFor(rule),
      defaultRole: rule.role,
      owner: rule.owner,
      methods: methods.get(rule.name) ?? [],
      allowed: has(identity, this.#roleFor(rule)),
    }));
  }

  #roleFor({ name, role }: Rule): Role {
    return this.#roles.get(name) ?? role;
  }

  requireHostChoice(identity: Identity): void {
    this.require(identity, MIGRATE_TO_HOST);
  }

  requireForce(identity: Identity): void {
    this.require(identity, MIGRATE_BY_FORCE);
  }

  allowsCrossCell(identity: Identity): boolean {
    return has(identity, this.#roleFor(CROSS_CELL));
  }

  requireUnlockOverride(identity: Identity): void {
    this.require(identity, UNLOCK_OVERRIDE);
  }

  requireHeal(identity: Identity): void {
    this.require(identity, HEAL_PLACEMENT);
  }

  /** Members act on their own servers; a server of another does not exist for them, as in Nova. */
  requireOwner(identity: Identity, path: string, server: Owned & { readonly name: string }): void {
    const rule = METHOD_RULES[path];
    if (rule === undefined || rule === AGENT_ONLY || !rule.owner || seesAll(identity)) return;
    if (owns(identity, server)) return;
    throw new Fault("not-found", `Instance ${server.name} could not be found.`);
  }
}

function tableOf(text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    throw new Fault(
      "invalid-argument",
      `not TOML: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The name under which a caller owns servers. */
export const ownerOf = (identity: Identity): string => identityLabel(identity);

/** A manager of a project is one in that project only. */
export const seesAll = ({ role, project }: Identity): boolean =>
  role === "admin" || (role === "manager" && project === undefined);

export interface Owned {
  readonly owner: string;
  /** Empty: it belongs to its owner alone. */
  readonly project: string;
}

/** Whose servers a list is of; undefined: everybody's. `owns` says the same of one server. */
export const viewerOf = (identity: Identity): { owner: string; project: string | undefined } | undefined =>
  seesAll(identity) ? undefined : { owner: ownerOf(identity), project: identity.project };

/** Within a project everything is common property; without one, everybody has their own. */
export function owns(identity: Identity, { owner, project }: Owned): boolean {
  if (identity.project === undefined || project === "") return owner === ownerOf(identity);
  return project === identity.project;
}

const allRules = (): Rule[] => [
  ...Object.values(METHOD_RULES).filter(rule => rule !== AGENT_ONLY),
  MIGRATE_TO_HOST,
  MIGRATE_BY_FORCE,
  CROSS_CELL,
  UNLOCK_OVERRIDE,
  HEAL_PLACEMENT,
];

const has = ({ role }: Identity, needed: Role): boolean => role !== undefined && RANK[role] >= RANK[needed];

/** Health and reflection are for everybody with a certificate. */
function admitTools(path: string): void {
  if (path.startsWith("/grpc.health.v1.") || path.startsWith("/grpc.reflection.")) return;
  throw new Fault("permission-denied", `${path} has no rule`);
}

function admitAgent(identity: Identity, path: string): void {
  if (identity.kind === "agent") return;
  throw new Fault("permission-denied", `${path} is for agents`, {
    have: describe(identity),
    need: "an agent's certificate",
  });
}

const denied = ({ name }: Rule, have: string, need: Role): Fault =>
  new Fault("permission-denied", `Policy doesn't allow ${name} to be performed.`, {
    have,
    need: `role ${need}`,
    fix: "use a certificate with that role (ferry pki issue user NAME --role …), or change the rule in the policy file",
  });

const describe = (identity: Identity): string =>
  identity.role === undefined ? identityLabel(identity) : `${identityLabel(identity)}, role ${identity.role}`;
