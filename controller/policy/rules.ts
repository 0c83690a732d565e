/**
 * Who may do what: one rule per method, named as Nova names it, with the least role that it needs.
 *
 *     admin > manager > member
 *
 * A member's rules hold for servers that belong to the member; `owner` says so. Methods of agents have no role:
 * they are for the agent of the very host that it speaks for.
 */

import type { Role } from "../../proto/identity.js";

export interface Rule {
  readonly name: string;
  readonly role: Role;
  /** A caller below manager needs to own the server. */
  readonly owner: boolean;
}

const rule = (name: string, role: Role, owner = false): Rule => ({ name, role, owner });

export const AGENT_ONLY = "agent";

/** Full method name → its rule. Every method of every service stands here; a test holds us to it. */
export const METHOD_RULES: Readonly<Record<string, Rule | typeof AGENT_ONLY>> = {
  "/ferry.v1.HostService/ListHosts": rule("os_compute_api:os-hypervisors:list", "manager"),
  "/ferry.v1.HostService/ShowHost": rule("os_compute_api:os-hypervisors:show", "manager"),
  "/ferry.v1.HostService/SetHostStatus": rule("os_compute_api:os-services:update", "admin"),
  "/ferry.v1.HostService/ForceHostDown": rule("os_compute_api:os-services:update", "admin"),
  "/ferry.v1.FlavorService/CreateFlavor": rule("os_compute_api:os-flavor-manage:create", "admin"),
  "/ferry.v1.FlavorService/ListFlavors": rule("os_compute_api:flavors", "member"),
  "/ferry.v1.FlavorService/ShowFlavor": rule("os_compute_api:flavors", "member"),
  "/ferry.v1.FlavorService/SetExtraSpecs": rule("os_compute_api:os-flavor-extra-specs:update", "admin"),
  "/ferry.v1.FlavorService/DeleteFlavor": rule("os_compute_api:os-flavor-manage:delete", "admin"),
  "/ferry.v1.ServerService/CreateServer": rule("os_compute_api:servers:create", "manager"),
  "/ferry.v1.ServerService/AdoptServer": rule("ferry:servers:adopt", "admin"),
  "/ferry.v1.ServerService/ListServers": rule("os_compute_api:servers:index", "member", true),
  "/ferry.v1.ServerService/ShowServer": rule("os_compute_api:servers:show", "member", true),
  "/ferry.v1.ServerService/StartServer": rule("os_compute_api:servers:start", "member", true),
  "/ferry.v1.ServerService/StopServer": rule("os_compute_api:servers:stop", "member", true),
  "/ferry.v1.ServerService/DeleteServer": rule("os_compute_api:servers:delete", "member", true),
  "/ferry.v1.ServerService/MigrateServer": rule("os_compute_api:os-migrate-server:migrate", "manager"),
  "/ferry.v1.ServerService/CheckServer": rule("ferry:servers:check", "manager"),
  "/ferry.v1.ServerService/ResizeServer": rule("os_compute_api:servers:resize", "member", true),
  "/ferry.v1.ServerService/ConfirmServer": rule("os_compute_api:servers:confirm_resize", "member", true),
  "/ferry.v1.ServerService/RevertServer": rule("os_compute_api:servers:revert_resize", "member", true),
  "/ferry.v1.ServerService/LockServer": rule("os_compute_api:os-lock-server:lock", "member", true),
  "/ferry.v1.ServerService/UnlockServer": rule("os_compute_api:os-lock-server:unlock", "member", true),
  "/ferry.v1.ServerService/ResetServerState": rule("os_compute_api:os-admin-actions:reset_state", "admin"),
  "/ferry.v1.ServerService/ListServerActions": rule(
    "os_compute_api:os-instance-actions:list",
    "member",
    true,
  ),
  "/ferry.v1.MigrationService/ListMigrations": rule("os_compute_api:os-migrations:index", "manager"),
  "/ferry.v1.MigrationService/ShowMigration": rule("os_compute_api:servers:migrations:show", "member", true),
  "/ferry.v1.MigrationService/WatchMigration": rule("os_compute_api:servers:migrations:show", "member", true),
  "/ferry.v1.MigrationService/SetMigration": rule("ferry:migrations:set", "manager"),
  "/ferry.v1.MigrationService/VerifyReceipt": rule("ferry:migrations:verify", "manager"),
  "/ferry.v1.MigrationService/CancelMigration": rule("os_compute_api:servers:migrations:delete", "manager"),
  "/ferry.v1.MigrationService/RecoverMigration": rule("ferry:migrations:recover", "admin"),
  "/ferry.v1.AggregateService/CreateAggregate": rule("os_compute_api:os-aggregates:create", "admin"),
  "/ferry.v1.AggregateService/ListAggregates": rule("os_compute_api:os-aggregates:index", "admin"),
  "/ferry.v1.AggregateService/ShowAggregate": rule("os_compute_api:os-aggregates:show", "admin"),
  "/ferry.v1.AggregateService/UpdateAggregate": rule("os_compute_api:os-aggregates:update", "admin"),
  "/ferry.v1.AggregateService/SetAggregateMetadata": rule(
    "os_compute_api:os-aggregates:set_metadata",
    "admin",
  ),
  "/ferry.v1.AggregateService/AddAggregateHost": rule("os_compute_api:os-aggregates:add_host", "admin"),
  "/ferry.v1.AggregateService/RemoveAggregateHost": rule("os_compute_api:os-aggregates:remove_host", "admin"),
  "/ferry.v1.AggregateService/DeleteAggregate": rule("os_compute_api:os-aggregates:delete", "admin"),
  "/ferry.v1.AggregateService/ListAvailabilityZones": rule(
    "os_compute_api:os-availability-zone:list",
    "member",
  ),
  "/ferry.v1.ServerGroupService/CreateServerGroup": rule(
    "os_compute_api:os-server-groups:create",
    "member",
    true,
  ),
  "/ferry.v1.ServerGroupService/ListServerGroups": rule(
    "os_compute_api:os-server-groups:index",
    "member",
    true,
  ),
  "/ferry.v1.ServerGroupService/ShowServerGroup": rule(
    "os_compute_api:os-server-groups:show",
    "member",
    true,
  ),
  "/ferry.v1.ServerGroupService/DeleteServerGroup": rule(
    "os_compute_api:os-server-groups:delete",
    "member",
    true,
  ),
  "/ferry.v1.PlacementService/SetHostPlacement": rule("placement:resource_providers:update", "admin"),
  "/ferry.v1.PlacementService/ShowPlacement": rule("placement:resource_providers:list", "manager"),
  "/ferry.v1.PlacementService/AuditPlacement": rule("ferry:placement:audit", "manager"),
  "/ferry.v1.PolicyService/ListPolicyRules": rule("ferry:policy:list", "member"),
  "/ferry.v1.EventService/ListEvents": rule("ferry:events:list", "member", true),
  "/ferry.v1.EventService/WatchEvents": rule("ferry:events:list", "member", true),
  "/ferry.v1.AdminService/ShowStore": rule("ferry:admin:store", "manager"),
  "/ferry.v1.AdminService/RaiseEpochs": rule("ferry:admin:epoch-raise", "admin"),
  "/ferry.v1.AdminService/Audit": rule("ferry:admin:audit", "manager"),
  "/ferry.v1.AdminService/ListChanges": rule("ferry:admin:changes", "manager"),
  "/ferry.v1.FleetService/Heartbeat": AGENT_ONLY,
};

/** Choosing the target is a right of its own, and so is choosing it against the scheduler's advice. */
export const MIGRATE_TO_HOST = rule("os_compute_api:os-migrate-server:migrate:host", "admin");
/** A host of another cell, for whoever names the host; the scheduler never leaves the cell. */
export const CROSS_CELL = rule("compute:servers:resize:cross_cell", "admin");
/** Undoing an administrator's lock. */
export const UNLOCK_OVERRIDE = rule("os_compute_api:os-lock-server:unlock:unlock_override", "admin");
export const MIGRATE_BY_FORCE = rule("os_compute_api:os-migrate-server:migrate:force", "admin");

/** Correcting bookings is more than looking at them. */
export const HEAL_PLACEMENT = rule("ferry:placement:heal", "admin");
