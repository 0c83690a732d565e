/**
 * How a migration begins: what a person may ask, what is held against it before any host is asked, and the one
 * transaction in which it becomes a saga. A migrate and a resize differ in their aim only.
 */

import type { HostVerdict } from "../../proto/gen/ferry/v1/model.js";
import type { SagaRunner } from "../saga/runner.js";
import { findFlavor } from "../store/flavors.js";
import { refuseFrozen } from "../store/freeze.js";
import { findServer, type ServerRecord } from "../store/servers.js";
import { recordAction } from "./actions.js";
import { checkedBlockDisks } from "./block-disks.js";
import { checkedCompression } from "./compression.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import { checkedDiskFormat } from "./disk-format.js";
import type { MigrationWorld } from "./migration-world.js";
import { checkedNetworkMap, type NetworkMap } from "./network-map.js";
import { refuseAimlessForce, refuseUnknownHost } from "./refuse-host.js";
import { refuseResize } from "./refuse-resize.js";
import { actionOf, type MigrationRequest } from "./request.js";
import { type RequestedBy, type Requester, refuseLocked, requesterOf } from "./requester.js";
import { type Aim, wantedOf } from "./schedule-request.js";
import { checkedShutdownTimeout } from "./shutdown-timeout.js";
import { checkedPriority } from "./turns.js";

interface MoveRequest {
  /** Name or id. */
  readonly server: string;
  readonly dryRun?: boolean | undefined;
  readonly shutdownTimeoutMs?: number | undefined;
  readonly gracefulOnly?: boolean | undefined;
  /** refuse (default) | carry */
  readonly readOnlyDrives?: string | undefined;
  readonly networkMap?: NetworkMap | undefined;
  /** raw | qcow2: what the target makes of the disks that are copied; absent or empty: they stay what they are. */
  readonly diskFormat?: string | undefined;
  /** auto | off | zstd; absent or empty: as the source is configured. */
  readonly compression?: string | undefined;
  /** refuse | copy: disks on block devices that the target does not have; absent or empty: refuse. */
  readonly blockDisks?: string | undefined;
  /** From -10 to 10. */
  readonly priority?: number | undefined;
  readonly requestedBy: RequestedBy;
}

export interface MigrateRequest extends MoveRequest {
  /** Absent: the scheduler chooses. */
  readonly host?: string | undefined;
  /** The host even where the scheduler advises against it. */
  readonly force?: boolean | undefined;
  /** The caller may move servers across cells, to a host that it names. */
  readonly mayCrossCells?: boolean | undefined;
}

export interface ResizeRequest extends MoveRequest {
  /** Name or id. */
  readonly flavor: string;
}

/** What came of it: a migration that is recorded, or what each host says to a dry run. */
export type Begun = { readonly migrationId: string } | { readonly verdicts: HostVerdict[] };

type Dependencies = MigrationDependencies & {
  readonly runner: Pick<SagaRunner<MigrationWorld>, "create" | "poke">;
};

export class Moves {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  async migrate(asked: MigrateRequest): Promise<Begun> {
    const { host: requestedHost = "", force = false } = asked;
    refuseAimlessForce(force, requestedHost);
    await this.#deps.fleet.firstWords();
    const server = await findServer(this.#deps.store.queries, asked.server);
    const crossCell = requestedHost !== "" && asked.mayCrossCells === true;
    const { flavor } = server;
    return this.#move(server, asked, { requestedHost, force, crossCell, mayStay: false, flavor });
  }

  /** On a host of the scheduler's choice. */
  async resize(asked: ResizeRequest): Promise<Begun> {
    const { queries } = this.#deps.store;
    await this.#deps.fleet.firstWords();
    const server = await findServer(queries, asked.server);
    const flavor = await findFlavor(queries, asked.flavor);
    refuseResize(server, flavor);
    const mayStay = this.#deps.settings.allowResizeToSameHost;
    return this.#move(server, asked, { requestedHost: "", force: false, mayStay, flavor });
  }

  async #move(server: ServerRecord, asked: MoveRequest, aim: Aim): Promise<Begun> {
    const { store, fleet, scheduler, runner, clock, newId } = this.#deps;
    if (asked.dryRun !== true) await refuseFrozen(store.queries);
    const requester = requesterOf(asked.requestedBy, newId);
    const request = this.#requestOf(asked, server, aim, requester);
    await refuseUnknownHost(store.queries, request.requestedHost);
    const wanted = wantedOf(server, aim);
    if (asked.dryRun === true) return { verdicts: await scheduler.judge(wanted) };

    const [action, { migrationId, serverId }] = [actionOf(request), request];
    refuseLocked(server, requester);
    if (!isMovable(server)) throw conflictOf(action, server, serverId, MOVABLE);
    await fleet.refuseDown(server.host);
    await scheduler.select(wanted, 1);
    await store.transaction(async queries => {
      await runner.create(queries, migrationId, { ...request });
      await recordAction(queries, { serverId, action, migrationId }, requester, clock.nowMs());
    });
    runner.poke(migrationId);
    return { migrationId };
  }

  #requestOf(asked: MoveRequest, server: ServerRecord, aim: Aim, requester: Requester): MigrationRequest {
    const { settings, newId } = this.#deps;
    return {
      migrationId: newId(),
      serverId: server.id,
      serverName: server.name,
      sourceHost: server.host,
      ...aim,
      oldFlavor: server.flavor,
      vmState: server.vmState,
      powerState: server.powerState,
      disks: server.disks,
      shutdownTimeoutMs: checkedShutdownTimeout(asked.shutdownTimeoutMs || settings.shutdownTimeoutMs),
      gracefulOnly: asked.gracefulOnly ?? false,
      readOnlyDrives: asked.readOnlyDrives || "refuse",
      networkMap: checkedNetworkMap(asked.networkMap ?? {}),
      diskFormat: checkedDiskFormat(asked.diskFormat),
      compression: checkedCompression(asked.compression),
      blockDisks: checkedBlockDisks(asked.blockDisks),
      maxDowntimeMs: server.maxDowntimeSeconds * 1000 || settings.maxDowntimeMs,
      maxAttempts: settings.maxAttempts,
      autoConfirmAfterMs: settings.autoConfirmAfterMs,
      priority: checkedPriority(asked.priority ?? 0),
      requestedBy: requester.by,
      project: requester.project,
    };
  }
}

const MOVABLE: readonly string[] = ["active", "stopped"];

const isMovable = ({ vmState, taskState, migrationId, deleteAsked }: ServerRecord): boolean =>
  MOVABLE.includes(vmState) && taskState === "" && migrationId === "" && !deleteAsked;
