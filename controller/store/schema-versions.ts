/**
 * How the schema came to be, one entry per version. Written in the words that SQLite and PostgreSQL share; an entry
 * that was released is never edited. A store of a newer Ferry is refused: its rows may mean something else.
 */

import { sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import { readMeta, writeMeta } from "./meta.js";
import type { Engine } from "./store.js";

const VERSION_1 = [
  `CREATE TABLE host (
    name TEXT PRIMARY KEY, status TEXT NOT NULL, disabled_reason TEXT NOT NULL, address TEXT NOT NULL,
    migration_address TEXT NOT NULL, data_port BIGINT NOT NULL, agent_version TEXT NOT NULL, boot_id TEXT NOT NULL,
    machine_id TEXT NOT NULL, install_id TEXT NOT NULL, incarnation BIGINT NOT NULL, hook_problem TEXT NOT NULL,
    quarantine TEXT NOT NULL, last_heartbeat_ms BIGINT NOT NULL, generation BIGINT NOT NULL)`,
  `CREATE TABLE inventory (
    host TEXT NOT NULL REFERENCES host, resource_class TEXT NOT NULL, total BIGINT NOT NULL, reserved BIGINT NOT NULL,
    allocation_ratio DOUBLE PRECISION NOT NULL, PRIMARY KEY (host, resource_class))`,
  `CREATE TABLE allocation (
    consumer TEXT NOT NULL, consumer_kind TEXT NOT NULL, host TEXT NOT NULL REFERENCES host,
    resource_class TEXT NOT NULL, amount BIGINT NOT NULL CHECK (amount > 0),
    PRIMARY KEY (consumer, host, resource_class))`,
  `CREATE INDEX allocation_by_host ON allocation (host, resource_class)`,
  `CREATE TABLE flavor (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL)`,
  `CREATE TABLE server (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, host TEXT NOT NULL, flavor TEXT NOT NULL, vm_state TEXT NOT NULL,
    task_state TEXT NOT NULL, power_state TEXT NOT NULL, epoch BIGINT NOT NULL, owner TEXT NOT NULL,
    disks TEXT NOT NULL, interfaces TEXT NOT NULL, image TEXT NOT NULL, max_downtime_seconds BIGINT NOT NULL,
    migration_id TEXT NOT NULL, fault TEXT, pending TEXT, created_at_ms BIGINT NOT NULL, updated_at_ms BIGINT NOT NULL)`,
  `CREATE INDEX server_by_host ON server (host)`,
  `CREATE TABLE migration (
    id TEXT PRIMARY KEY, server_id TEXT NOT NULL, server_name TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL,
    open BIGINT NOT NULL, stuck BIGINT NOT NULL, source_host TEXT NOT NULL, target_host TEXT NOT NULL, target_asked BIGINT NOT NULL,
    old_flavor TEXT NOT NULL, new_flavor TEXT NOT NULL, step TEXT NOT NULL, direction TEXT NOT NULL,
    steps TEXT NOT NULL, fault TEXT, progress TEXT, receipt TEXT NOT NULL, notes TEXT NOT NULL,
    downtime_ms BIGINT NOT NULL, auto_confirm_at_ms BIGINT NOT NULL, auto_confirm_left_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL, requested_by TEXT NOT NULL, created_at_ms BIGINT NOT NULL, updated_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT NOT NULL)`,
  `CREATE UNIQUE INDEX migration_open ON migration (server_id) WHERE open = 1`,
  `CREATE INDEX migration_by_age ON migration (created_at_ms)`,
  `CREATE TABLE saga (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, input TEXT NOT NULL, owner TEXT NOT NULL, epoch BIGINT NOT NULL,
    length BIGINT NOT NULL, cancel BIGINT NOT NULL, live BIGINT NOT NULL)`,
  `CREATE TABLE saga_step (
    saga TEXT NOT NULL REFERENCES saga, seq BIGINT NOT NULL, line TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (saga, seq))`,
  `CREATE TABLE event (
    migration TEXT NOT NULL, seq BIGINT NOT NULL, at_ms BIGINT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (migration, seq))`,
];

/** Owners and locks, the wish to delete, numbered migrations, and what was asked of each server. */
const VERSION_2 = [
  `ALTER TABLE server ADD COLUMN project TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN locked_by TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN locked_reason TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN delete_asked BIGINT NOT NULL DEFAULT 0`,
  `ALTER TABLE migration ADD COLUMN number BIGINT NOT NULL DEFAULT 0`,
  `ALTER TABLE migration ADD COLUMN project TEXT NOT NULL DEFAULT ''`,
  `UPDATE migration SET number = (SELECT COUNT(*) FROM migration older
    WHERE older.created_at_ms < migration.created_at_ms
    OR (older.created_at_ms = migration.created_at_ms AND older.id <= migration.id))`,
  `CREATE UNIQUE INDEX migration_number ON migration (number)`,
  `CREATE TABLE action (
    server_id TEXT NOT NULL, request_id TEXT NOT NULL, seq BIGINT NOT NULL, action TEXT NOT NULL,
    requested_by TEXT NOT NULL, project TEXT NOT NULL, migration_id TEXT NOT NULL, host TEXT NOT NULL, started_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT NOT NULL, fault TEXT, PRIMARY KEY (server_id, request_id))`,
];

/** Where servers may be: aggregates with their zones, server groups, traits, and what was asked when a server was made. */
const VERSION_3 = [
  `CREATE TABLE aggregate (
    id BIGINT PRIMARY KEY, uuid TEXT NOT NULL, name TEXT NOT NULL UNIQUE, availability_zone TEXT NOT NULL,
    metadata TEXT NOT NULL, created_at_ms BIGINT NOT NULL, updated_at_ms BIGINT NOT NULL)`,
  `CREATE TABLE aggregate_host (
    aggregate BIGINT NOT NULL REFERENCES aggregate, host TEXT NOT NULL REFERENCES host, PRIMARY KEY (aggregate, host))`,
  `CREATE INDEX aggregate_by_host ON aggregate_host (host)`,
  `CREATE TABLE server_group (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, policy TEXT NOT NULL, max_server_per_host BIGINT NOT NULL, owner TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL)`,
  `ALTER TABLE host ADD COLUMN traits TEXT NOT NULL DEFAULT '[]'`,
  `ALTER TABLE host ADD COLUMN hardware TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN server_group TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN availability_zone TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE server ADD COLUMN same_host TEXT NOT NULL DEFAULT '[]'`,
  `ALTER TABLE server ADD COLUMN different_host TEXT NOT NULL DEFAULT '[]'`,
  `ALTER TABLE server ADD COLUMN image_properties TEXT NOT NULL DEFAULT '{}'`,
  `CREATE INDEX server_by_group ON server (server_group)`,
  `CREATE INDEX server_busy ON server (host) WHERE task_state <> ''`,
];

const VERSION_4 = ["ALTER TABLE host ADD COLUMN instance_id TEXT NOT NULL DEFAULT ''"];

/** Several controllers: who is at work, and who carries out what. */
const VERSION_5 = [
  `CREATE TABLE process (owner TEXT PRIMARY KEY, until_ms BIGINT NOT NULL)`,
  `CREATE TABLE duty (name TEXT PRIMARY KEY, owner TEXT NOT NULL)`,
  `ALTER TABLE server ADD COLUMN term BIGINT NOT NULL DEFAULT 0`,
  `ALTER TABLE server ADD COLUMN task_owner TEXT NOT NULL DEFAULT ''`,
  `ALTER TABLE saga ADD COLUMN term BIGINT NOT NULL DEFAULT 0`,
];

/** What every decision of the scheduler asks, without reading what else a row holds. */
const VERSION_6 = [
  `CREATE INDEX host_generation ON host (name, generation)`,
  `CREATE INDEX migration_by_server ON migration (server_id)`,
];

/** Pages of servers, newest first. */
const VERSION_7 = [`CREATE INDEX server_by_age ON server (created_at_ms, id)`];

/** A person's word that a host is down; logins that were given up. */
const VERSION_8 = [
  `ALTER TABLE host ADD COLUMN forced_down BIGINT NOT NULL DEFAULT 0`,
  `CREATE TABLE revoked_token (audit_id TEXT PRIMARY KEY, expires_at_ms BIGINT NOT NULL)`,
];

/** What happened, for whoever follows it. `number` is 0 until it is numbered. */
const VERSION_9 = [
  `CREATE TABLE notification (
    id TEXT PRIMARY KEY, number BIGINT NOT NULL, at_ms BIGINT NOT NULL, type TEXT NOT NULL, server_id TEXT NOT NULL,
    owner TEXT NOT NULL, project TEXT NOT NULL, migration_id TEXT NOT NULL, host TEXT NOT NULL, body TEXT NOT NULL)`,
  `CREATE INDEX notification_number ON notification (number)`,
];

/** Who copies, and who waits for its turn. */
const VERSION_10 = [
  `CREATE TABLE turn (
    migration TEXT PRIMARY KEY, source_host TEXT NOT NULL, target_host TEXT NOT NULL, queued_at_ms BIGINT NOT NULL,
    priority BIGINT NOT NULL, taken BIGINT NOT NULL)`,
];

/** Targets that a migration was refused by before it found one. */
const VERSION_11 = [`ALTER TABLE migration ADD COLUMN refusals TEXT NOT NULL DEFAULT '[]'`];

/** Whether everybody was told that a host is not heard any more. */
const VERSION_12 = [`ALTER TABLE host ADD COLUMN silent BIGINT NOT NULL DEFAULT 0`];

/** What was asked under a request id of the caller's: the same id again is the same request, or refused. */
const VERSION_13 = [
  `ALTER TABLE action ADD COLUMN request_digest TEXT NOT NULL DEFAULT ''`,
  `CREATE UNIQUE INDEX action_asked_once ON action (request_id) WHERE request_digest <> ''`,
];

/** Who wants a saga cancelled. */
const VERSION_14 = [`ALTER TABLE saga ADD COLUMN cancelled_by TEXT NOT NULL DEFAULT ''`];

/** What exactly was asked, where the action does not say it; and who changes what belongs to no server. */
const VERSION_15 = [
  `ALTER TABLE action ADD COLUMN detail TEXT NOT NULL DEFAULT ''`,
  `CREATE TABLE change (
    id TEXT PRIMARY KEY, at_ms BIGINT NOT NULL, requested_by TEXT NOT NULL, project TEXT NOT NULL, request_id TEXT NOT NULL,
    method TEXT NOT NULL, subject TEXT NOT NULL, asked TEXT NOT NULL, ended_at_ms BIGINT NOT NULL, fault TEXT)`,
  `CREATE INDEX change_by_age ON change (at_ms)`,
];

const VERSIONS: readonly (readonly string[])[] = [
  VERSION_1,
  VERSION_2,
  VERSION_3,
  VERSION_4,
  VERSION_5,
  VERSION_6,
  VERSION_7,
  VERSION_8,
  VERSION_9,
  VERSION_10,
  VERSION_11,
  VERSION_12,
  VERSION_13,
  VERSION_14,
  VERSION_15,
];

/** Brings the schema to the newest version, in one transaction; controllers that start together do it one by one. */
export async function upgradeSchema(engine: Engine): Promise<void> {
  await engine.alone(async tx => {
    await sql.raw("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)").execute(tx);
    const present = Number((await readMeta(tx, "schema_version")) ?? 0);
    if (present > VERSIONS.length) {
      throw new Fault("unsupported", `the store was written by a newer Ferry`, {
        have: `schema version ${present}`,
        need: `schema version ${VERSIONS.length} or older`,
        fix: "start the controller of that version, or restore the backup made before the upgrade",
      });
    }
    for (const statement of VERSIONS.slice(present).flat()) await sql.raw(statement).execute(tx);
    await writeMeta(tx, "schema_version", String(VERSIONS.length));
  });
}
