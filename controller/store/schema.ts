/**
 * The controller's tables as types. Two dialects, one schema: ids are text, booleans 0/1, JSON text, times epoch
 * milliseconds, so that SQLite and PostgreSQL hold the same values. Columns are written in snake case.
 *
 *   host ─< inventory      server ─< migration ─ saga ─< saga_step      allocation: consumer × host × resource class
 *    └─< aggregate_host ─ aggregate      └─< event   server ─< action, server_group ─< server
 */

import type { Kysely } from "kysely";

/** A whole number below 2^53. */
type Int = number;
/** 0 or 1. */
type Flag = number;
/** JSON of the type named in the repository of the table. */
type Json = string;

export interface HostTable {
  name: string;
  /** enabled | disabled */
  status: string;
  disabled_reason: string;
  address: string;
  migration_address: string;
  data_port: Int;
  agent_version: string;
  boot_id: string;
  machine_id: string;
  install_id: string;
  /** Which start of the agent was heard last. */
  instance_id: string;
  /** Highest start counter seen of this agent (SAFETY R14). */
  incarnation: Int;
  hook_problem: string;
  /** Why this host is suspected of having been restored or cloned; empty when it is not. */
  quarantine: string;
  /** A person says that it is down. */
  forced_down: Flag;
  /** It is not heard, and everybody was told so. */
  silent: Flag;
  last_heartbeat_ms: Int;
  /** Raised by every change of this host that the scheduler can see: bookings, offers, status, traits, aggregates. */
  generation: Int;
  /** What a person says that it can do, besides what its hardware says. */
  traits: Json;
  /** As its agent last reported it; empty until then. */
  hardware: Json;
}

export interface InventoryTable {
  host: string;
  resource_class: string;
  total: Int;
  reserved: Int;
  allocation_ratio: number;
}

export interface AggregateTable {
  id: Int;
  uuid: string;
  name: string;
  availability_zone: string;
  metadata: Json;
  created_at_ms: Int;
  updated_at_ms: Int;
}

export interface AggregateHostTable {
  aggregate: Int;
  host: string;
}

export interface ServerGroupTable {
  id: string;
  name: string;
  /** affinity | anti-affinity | soft-affinity | soft-anti-affinity */
  policy: string;
  max_server_per_host: Int;
  owner: string;
  created_at_ms: Int;
}

export interface AllocationTable {
  consumer: string;
  /** server | migration */
  consumer_kind: string;
  host: string;
  resource_class: string;
  amount: Int;
}

export interface FlavorTable {
  id: string;
  name: string;
  body: Json;
}

export interface ServerTable {
  id: string;
  name: string;
  host: string;
  flavor: Json;
  vm_state: string;
  task_state: string;
  power_state: string;
  epoch: Int;
  owner: string;
  disks: Json;
  interfaces: Json;
  image: string;
  /** 0: the controller's default. */
  max_downtime_seconds: Int;
  /** Open migration, or empty. */
  migration_id: string;
  fault: Json | null;
  /** The request to an agent that a `task_state` outside migrations waits for, with its key. */
  pending: Json | null;
  project: string;
  /** owner | admin, or empty. */
  locked_by: string;
  locked_reason: string;
  /** It is to be deleted as soon as no migration holds it any more (SAFETY R16). */
  delete_asked: Flag;
  /** Raised whenever another controller takes the server's saga or task over. */
  term: Int;
  /** The controller that carries `pending` out. */
  task_owner: string;
  created_at_ms: Int;
  updated_at_ms: Int;
  /** Id, or empty. */
  server_group: string;
  /** That it was asked for, or empty. */
  availability_zone: string;
  same_host: Json;
  different_host: Json;
  image_properties: Json;
}

export interface MigrationTable {
  id: string;
  server_id: string;
  server_name: string;
  type: string;
  /** Nova's; `stuck` is its own column so that the status survives it. */
  status: string;
  /** It holds the server: at most one row per server. */
  open: Flag;
  stuck: Flag;
  source_host: string;
  target_host: string;
  /** prepare-target was sent to the target host: only its own word lets it go (SAFETY R4). */
  target_asked: Flag;
  old_flavor: Json;
  new_flavor: Json;
  step: string;
  direction: string;
  steps: Json;
  fault: Json | null;
  progress: Json | null;
  receipt: Json;
  notes: Json;
  refusals: Json;
  downtime_ms: Int;
  auto_confirm_at_ms: Int;
  /** Time of the verify window that is left, counted while a controller is up (SAFETY R15). */
  auto_confirm_left_ms: Int;
  epoch: Int;
  requested_by: string;
  /** Counts migrations from 1. */
  number: Int;
  project: string;
  created_at_ms: Int;
  updated_at_ms: Int;
  ended_at_ms: Int;
}

export interface SagaTable {
  id: string;
  kind: string;
  input: Json;
  /** Process that may write; with `epoch` the guard of every write. */
  owner: string;
  epoch: Int;
  /** The server's, as it was when the owner took this saga. */
  term: Int;
  /** Number of journal lines. */
  length: Int;
  cancel: Flag;
  /** Who wants that, or empty. */
  cancelled_by: string;
  live: Flag;
}

export interface SagaStepTable {
  saga: string;
  seq: Int;
  line: Json;
  at_ms: Int;
}

export interface EventTable {
  migration: string;
  seq: Int;
  at_ms: Int;
  text: string;
}

/** What was asked of a server: kept when the server is gone. */
export interface ActionTable {
  server_id: string;
  request_id: string;
  /** Of a request whose id is its caller's: no other request has that id. Empty: the id is ours. */
  request_digest: string;
  /** Counts the server's actions from 1. */
  seq: Int;
  action: string;
  requested_by: string;
  project: string;
  /** The migration whose journal tells how it went; empty: the columns below do. */
  migration_id: string;
  host: string;
  /** What exactly was asked, where the action does not say it. */
  detail: string;
  started_at_ms: Int;
  /** 0 while it goes on. */
  ended_at_ms: Int;
  fault: Json | null;
}

/** Who changed what belongs to no server (store/change-log.ts). */
export interface ChangeTable {
  id: string;
  at_ms: Int;
  requested_by: string;
  project: string;
  request_id: string;
  method: string;
  subject: string;
  asked: string;
  /** 0: its end is not known. */
  ended_at_ms: Int;
  fault: Json | null;
}

/** What happened, for whoever follows it (store/notifications.ts). */
export interface NotificationTable {
  id: string;
  /** 0 until it is numbered. */
  number: Int;
  at_ms: Int;
  type: string;
  server_id: string;
  owner: string;
  project: string;
  migration_id: string;
  host: string;
  body: Json;
}

/** A migration that copies, or waits until it may. */
export interface TurnTable {
  migration: string;
  source_host: string;
  target_host: string;
  queued_at_ms: Int;
  priority: Int;
  taken: Flag;
}

/** A controller at work. */
export interface ProcessTable {
  owner: string;
  until_ms: Int;
}

/** What one controller at a time does. */
export interface DutyTable {
  name: string;
  owner: string;
}

/** A token of the identity service that was given up. */
export interface RevokedTokenTable {
  audit_id: string;
  expires_at_ms: Int;
}

export interface MetaTable {
  key: string;
  value: string;
}

export interface Schema {
  host: HostTable;
  inventory: InventoryTable;
  aggregate: AggregateTable;
  aggregate_host: AggregateHostTable;
  allocation: AllocationTable;
  server_group: ServerGroupTable;
  flavor: FlavorTable;
  server: ServerTable;
  migration: MigrationTable;
  saga: SagaTable;
  saga_step: SagaStepTable;
  event: EventTable;
  action: ActionTable;
  change: ChangeTable;
  notification: NotificationTable;
  turn: TurnTable;
  process: ProcessTable;
  duty: DutyTable;
  revoked_token: RevokedTokenTable;
  meta: MetaTable;
}

/** The database or a transaction in it. Within a transaction only its own queries may be awaited. */
export type Queries = Kysely<Schema>;
