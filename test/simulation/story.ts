/**
 * One migration from the request to its end, with one strike at one exact place: a daemon killed at a step of its work, its
 * host without power, a request whose answer is lost, one that comes again, one that comes when its time is over, a
 * bit that is wrong on the target's medium. The universal proofs strike everywhere.
 */

import { Fleet } from "./fleet.js";
import { Invariants } from "./invariants.js";
import { type Meanwhile, Refused } from "./refused.js";
import { type Blow, countOf, deal, isData, type Strike, VICTIMS, type Victim } from "./strike.js";
import { World } from "./world/world.js";

/**
 * What is asked for, and how its verify window ends, if it does not end before: cancelled amid the copy, or when its target has
 * refused. The disk of a server that is resized lies in no folder of its own.
 */
export interface Tale {
  readonly kind: "migrate" | "migrate-from-device" | "resize" | "resize-in-place";
  readonly ending: "confirm" | "revert" | "delete" | "auto-confirm" | "cancel" | Meanwhile;
}

export interface StoryResult {
  /** How the migration ended; "" when it did not. */
  readonly status: string;
  readonly violations: readonly string[];
  /** Places where each kind of strike could fall, from the request to the end; of daemons that were not struck. */
  readonly places: Readonly<Record<Victim, Readonly<Record<Blow, number>>>>;
  /** How many of them there had been whenever the migration came to another step; only of one that was not struck. */
  readonly turns: readonly StoryResult["places"][];
  /** The blow fell. */
  readonly isStruck: boolean;
  /** Its guest was stopped on the way. */
  readonly hasStopped: boolean;
  readonly transcript: readonly string[];
}

const LIMIT_MS = 3_600_000;
const WINDOW_SECONDS = 10;
/** About one a second. */
const PATIENCE_LOOKS = 300;

export async function tellStory(tale: Tale, strike?: Strike, transcript = false): Promise<StoryResult> {
  const world = new World(1, { transcript });
  try {
    const fleet = await Fleet.open(world, {
      hosts: hostsOf(tale),
      servers: 1,
      confirmWindow: tale.ending === "auto-confirm" ? WINDOW_SECONDS : 0,
      maySameHost: tale.kind === "resize-in-place",
      isFlat: tale.kind === "resize",
      hasDevice: tale.kind === "migrate-from-device",
    });
    const invariants = new Invariants(fleet);
    const [server = ""] = fleet.servers;
    await fleet.allUp();
    const count = countOf(world);
    const cancel = async () => {
      const [newest] = await fleet.operator.migrations();
      if (newest !== undefined) await fleet.operator.cancel(newest.id);
    };
    const blow = strike === undefined ? undefined : deal(world, strike, { fleet, invariants, cancel });
    const turns = strike === undefined ? turnsOf(world, invariants, count) : [];
    if (tale.ending === "cancel") breakLinkAmidCopy(fleet);
    const refused = isRefused(tale.ending) ? new Refused(fleet, tale.ending) : undefined;
    await ask(fleet, server, tale);
    await decide(fleet, server, tale, strike?.blow === "resume");
    const places = count();
    for (const name of Object.values(VICTIMS)) world.machines.get(name)?.running()?.spare();
    world.network.healAll(world.machines.values());
    blow?.atEnd();
    refused?.heal();
    await world.time.run(() => false, 20_000);
    invariants.atRest();
    return {
      status: invariants.migrations().at(-1)?.status ?? "",
      violations: [...world.breaches, ...world.bugs],
      places,
      turns,
      isStruck: blow?.isStruck() ?? false,
      hasStopped: hasStopped(fleet),
      transcript: world.transcript,
    };
  } finally {
    world.close();
  }
}

/** Who goes to a host by name has no alternates. */
export const isRefused = (ending: Tale["ending"]): ending is Meanwhile =>
  ending === "others-fill-up" || ending === "cancelled" || ending === "reached-after-all";

const hostsOf = ({ kind, ending }: Tale): number => {
  if (kind === "resize-in-place") return 1;
  return isRefused(ending) ? 3 : 2;
};

async function ask({ operator }: Fleet, server: string, { kind, ending }: Tale): Promise<void> {
  const id = operator.newRequest();
  const host = isRefused(ending) ? "" : "h2";
  await operator.insist(kind, async () => {
    const isMigration = kind === "migrate" || kind === "migrate-from-device";
    await (isMigration ? operator.migrate(server, host, id) : operator.resize(server, "large", id));
  });
}

/** Until it has ended. What is stuck is reverted if `acceptsLoss`, else it stays so. */
async function decide(
  { operator }: Fleet,
  server: string,
  { ending }: Tale,
  acceptsLoss: boolean,
): Promise<void> {
  const newest = async () => (await operator.migrations())[0];
  let looksWhileFinished = 0;
  await operator.until(async () => {
    const { id = "", status = "", step = "", endedAtMs = 0 } = (await newest()) ?? {};
    if (status === "finished") looksWhileFinished += 1;
    // The clock confirms no guest that went down with its host: a person does.
    const isForPerson = ending !== "auto-confirm" || looksWhileFinished > PATIENCE_LOOKS;
    if (ending === "cancel" && step === "copy-disks" && endedAtMs === 0) await operator.cancel(id);
    if (status === "finished" && ending === "delete") await operator.delete(server);
    else if (status === "finished" && isForPerson)
      await operator[ending === "revert" ? "revert" : "confirm"](server, id);
    if (status === "confirmed" && ending === "delete") return (await operator.servers()).length === 0;
    if (status === "stuck" && acceptsLoss) await operator.revert(server, id);
    return endedAtMs > 0 || (status === "stuck" && !acceptsLoss);
  }, LIMIT_MS);
}

function turnsOf(world: World, invariants: Invariants, count: () => StoryResult["places"]) {
  const turns: StoryResult["places"][] = [];
  const { time } = world;
  const before = time.afterEvent;
  let last = "";
  time.afterEvent = () => {
    before();
    const { step = "", direction = "", status = "" } = invariants.migrations().at(-1) ?? {};
    const present = `${step} ${direction} ${status}`;
    if (present !== last) turns.push(count());
    last = present;
  };
  return turns;
}

/** From the first bytes on the target's disk on, so that it holds parts when the migration is given up. */
function breakLinkAmidCopy({ world, hosts: [source, target] }: Fleet): void {
  if (source === undefined || target === undefined) return;
  const { onFlush } = target.disk;
  target.disk.onFlush = file => {
    onFlush(file);
    if (isData(file)) world.network.cut(source, target);
  };
}

/** By what the store's journal of the saga says. */
function hasStopped({ controller }: Fleet): boolean {
  const { database } = controller.database("/var/lib/ferry-controller/controller.db");
  const lines = database.prepare<[], { line: string }>("SELECT line FROM saga_step").all();
  return lines.some(({ line }) => line.includes('"begun"') && line.includes('"stop-source"'));
}
