/**
 * What a controller does because it may not be the only one on its store: it adopts what one that died has left. With
 * a store of its own there is nobody to follow.
 */

import type { Clock } from "./clock.js";
import type { Migrations } from "./migration/migrations.js";
import type { Servers } from "./migration/servers.js";

const LOOK_MS = 1_000;

interface Dependencies {
  readonly clock: Clock;
  readonly migrations: Migrations;
  readonly servers: Servers;
  /** So many sagas and tasks were another controller's. */
  readonly onAdopted: (count: number) => void;
  /** The store did not answer; the next look tells. */
  readonly onFailure: (error: unknown) => void;
}

/** Until the signal aborts. */
export async function followCompanions(deps: Dependencies, signal: AbortSignal): Promise<void> {
  const { clock, migrations, servers, onAdopted, onFailure } = deps;
  while (!signal.aborted) {
    try {
      const adopted = (await migrations.adoptOrphans()) + (await servers.adoptOrphans());
      if (adopted > 0) onAdopted(adopted);
    } catch (error) {
      onFailure(error);
    }
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}
