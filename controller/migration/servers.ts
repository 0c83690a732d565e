/** What a person or a program can ask of servers, apart from moving them. */

import { Fault } from "../../proto/fault.js";
import type { AdoptServerResponse, CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import type { MigrationDependencies, Migrations } from "./operations.js";

export interface AdoptRequest {
  readonly host: string;
  /** libvirt name or uuid. */
  readonly domain: string;
  readonly swapDisks: string[];
  readonly ephemeralDisks: string[];
  readonly dryRun: boolean;
  readonly readOnlyDrives: string;
  readonly maxDowntimeSeconds: number;
  readonly requestedBy: string;
}

export interface ServerSelection {
  readonly host?: string | undefined;
  /** Derived status, such as ACTIVE. */
  readonly status?: string | undefined;
}

export class Servers {
  constructor(deps: MigrationDependencies, migrations: Migrations) {
    void deps;
    void migrations;
  }
  /** Carries on what a stopped controller left unfinished. */
  start(): Promise<void> {
    throw unwritten();
  }
  close(): Promise<void> {
    throw unwritten();
  }
  create(request: CreateServerRequest, requestedBy: string): Promise<Server> {
    throw unwritten(request, requestedBy);
  }
  adopt(request: AdoptRequest): Promise<AdoptServerResponse> {
    throw unwritten(request);
  }
  list(selection?: ServerSelection): Promise<Server[]> {
    throw unwritten(selection);
  }
  show(nameOrId: string): Promise<Server> {
    throw unwritten(nameOrId);
  }
  startServer(nameOrId: string, requestedBy: string): Promise<Server> {
    throw unwritten(nameOrId, requestedBy);
  }
  stopServer(
    nameOrId: string,
    options: { timeoutMs?: number; requestedBy: string },
  ): Promise<{ server: Server; note: string }> {
    throw unwritten(nameOrId, options);
  }
  deleteServer(nameOrId: string, requestedBy: string): Promise<void> {
    throw unwritten(nameOrId, requestedBy);
  }
}

const unwritten = (...asked: unknown[]): Fault =>
  new Fault("unsupported", `not written yet: ${asked.length}`);
