/**
 * Tells the controller, every few seconds, that this host lives and what is on it.
 *
 * What guests do is read anew each time, what the host offers with every few reports; what cannot be read is left out rather than reported as absent. A controller
 * that does not answer costs one log line per change of state, never the agent.
 */

import type { Client } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { asFault, Fault } from "../proto/fault.js";
import {
  type DomainReport,
  FleetServiceService,
  type HeartbeatRequest,
} from "../proto/gen/ferry/v1/controller.js";
import type { HostHardware } from "../proto/gen/ferry/v1/host.js";
import type { Inventory } from "../proto/gen/ferry/v1/model.js";
import { call } from "../proto/rpc-client.js";
import type { Quarantine } from "./fence/quarantine.js";
import { HardwareNews } from "./hardware-news.js";
import { powerStateOf } from "./power-state.js";
import type { World } from "./verbs/verb.js";

const INTERVAL_MS = 5_000;
const DEADLINE_MS = 10_000;

/** What stays the same while this agent runs. */
export type HeartbeatFacts = Omit<
  HeartbeatRequest,
  "domains" | "inventories" | "epochs" | "hookProblem" | "hardware"
>;

interface Dependencies {
  readonly controller: Client;
  readonly world: World;
  readonly facts: HeartbeatFacts;
  readonly inventories: () => Promise<Inventory[]>;
  readonly quarantine: Quarantine;
  readonly hardware: () => Promise<HostHardware>;
  readonly log: Logger;
}

/** Beats until the signal aborts. */
export async function beat(deps: Dependencies, signal: AbortSignal): Promise<void> {
  let isReached: boolean | undefined;
  const hardware = new HardwareNews(deps.hardware);
  while (!signal.aborted) {
    let pauseMs = INTERVAL_MS;
    try {
      const report = { ...(await reportOf(deps)), hardware: await hardware.next() };
      const answer = await call(deps.controller, FleetServiceService.heartbeat, report, {
        deadlineMs: DEADLINE_MS,
        signal,
      });
      if (await deps.quarantine.set(answer.quarantine))
        deps.log.warn(
          { reason: answer.quarantine },
          answer.quarantine === "" ? "quarantine ended" : "quarantine",
        );
      hardware.delivered(answer.wantHardware);
      pauseMs = answer.intervalMs || INTERVAL_MS;
      if (isReached !== true) deps.log.info("the controller knows this host");
      isReached = true;
    } catch (error) {
      if (isReached !== false && !signal.aborted)
        deps.log.warn({ fault: asFault(error).message }, "heartbeat not delivered");
      isReached = false;
      pauseMs = 1_000;
    }
    await deps.world.sleep(pauseMs, signal).catch(() => undefined);
  }
}

/** Without libvirt the host is still alive, and says why it may take no server. */
async function reportOf({
  world,
  facts,
  inventories,
}: Dependencies): Promise<Omit<HeartbeatRequest, "hardware">> {
  const guests = world.guests.list();
  const domains = await domainReports(world).catch((error: unknown) => asFault(error));
  const isReadable = !(domains instanceof Fault);
  return {
    ...facts,
    domains: isReadable ? domains : [],
    inventories: await inventories(),
    epochs: Object.fromEntries(guests.map(guest => [guest.serverId, guest.epoch])),
    hookProblem: isReadable ? world.hook.problem() : domains.message,
  };
}

async function domainReports(world: World): Promise<DomainReport[]> {
  const domains = new Map((await world.hypervisor.listDomains()).map(domain => [domain.uuid, domain]));
  return world.guests.list().map(({ serverId, role, epoch }) => {
    const domain = domains.get(serverId);
    return { serverId, role, epoch, powerState: powerStateOf(domain), ioError: isPausedOnIoError(domain) };
  });
}

/** virDomainPausedReason VIR_DOMAIN_PAUSED_IOERROR. */
const PAUSED_IO_ERROR = 5;

export const isPausedOnIoError = (domain: { state: string; stateReason: number } | undefined): boolean =>
  domain?.state === "paused" && domain.stateReason === PAUSED_IO_ERROR;
