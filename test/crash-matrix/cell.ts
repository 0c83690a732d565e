/**
 * One cell: a migration is brought to a boundary and held there, the fault strikes, everything goes on, and the end is looked
 * at. A fault that did not strike at its boundary makes the cell fail, whatever the migration did.
 */

import { type Host, type Lab, PATIENCE_MS, waitFor } from "../lab/lab.js";
import { expectWellEnded } from "./aftermath.js";
import type { Boundary } from "./boundaries.js";
import type { Fault, Route } from "./faults.js";
import type { Line, Traveller } from "./traveller.js";

export interface CellResult {
  readonly boundary: string;
  readonly fault: string;
  /** How the migration ended; empty when the cell failed before. */
  readonly outcome: string;
  readonly seconds: number;
  /** What was not as it must be. */
  readonly problem?: string;
  /** Of a cell that failed: what the controller told. */
  readonly story?: readonly Line[];
}

const STOP_AT = "/run/ferry-lab/stop-at";
const STOPPED_AT = "/run/ferry-lab/stopped-at";
const MIB = 1024 * 1024;
/** A migration takes seconds; with a hundred of them nobody has got there. */
const HELD_MS = 100_000;
const COPY_RATE = "12mbit";

export async function runCell(traveller: Traveller, boundary: Boundary, fault: Fault): Promise<CellResult> {
  const startedMs = Date.now();
  const mark = await traveller.mark();
  const at = { boundary: boundary.name, fault: fault.name };
  const seconds = () => Math.round((Date.now() - startedMs) / 100) / 10;
  try {
    const outcome = await carryOut(traveller, boundary, fault);
    return { ...at, outcome, seconds: seconds() };
  } catch (error) {
    return {
      ...at,
      outcome: "",
      story: await traveller.linesSince(mark).catch(() => []),
      seconds: seconds(),
      problem: error instanceof Error ? error.message : String(error),
    };
  }
}

async function carryOut(traveller: Traveller, boundary: Boundary, fault: Fault): Promise<string> {
  const { lab } = traveller;
  const source = await traveller.home();
  const route: Route = { source, target: source === "h1" ? "h2" : "h1" };
  const mark = await traveller.mark();
  const before = await traveller.server.processes();
  if (boundary.line === undefined) await reachMidCopy(traveller, route);
  else await reach(traveller, boundary, route, mark, boundary.line);

  await fault.strike(lab, route);
  if (!fault.isController) await continueController(lab);
  await fault.mend(lab, route);
  if (boundary.line === undefined) await lab.shape(route.target, "off", "mig0");
  const outcome = await ending(traveller, boundary, mark);
  await expectWellEnded(traveller, before);
  const wanted = boundary.ask === "revert" ? "reverted" : "confirmed";
  // What is killed and comes back changes no outcome, only the duration (invariant 8).
  if (outcome !== wanted) throw new Error(`ended ${outcome}, not ${wanted}: ${await why(traveller)}`);
  return outcome;
}

const why = async (traveller: Traveller): Promise<string> =>
  (await traveller.newest()).fault?.message ?? "no reason given";

/** Holds the controller at the line, having asked for what leads there. */
async function reach(
  traveller: Traveller,
  { name, ask }: Boundary,
  { target }: Route,
  mark: number,
  line: string,
): Promise<void> {
  const { lab } = traveller;
  if (ask !== "migrate") {
    await asked(traveller, "migrate", target);
    const { status, fault } = await traveller.rested(mark);
    if (status !== "finished") throw new Error(`did not come to ${name}: ${status}: ${fault?.message}`);
  }
  await lab.output("ctl", ["sh", "-c", `rm -f ${STOPPED_AT}; cat >${STOP_AT}`], { input: line });
  // It may never answer: the controller stops on the way.
  void asked(traveller, ask, target).catch(() => undefined);
  const isHeld = async () => (await lab.exec("ctl", ["test", "-e", STOPPED_AT])).code === 0;
  await waitFor(isHeld, { deadlineMs: HELD_MS, what: `the controller is held at ${name}` }).catch(
    async error => {
      await lab.exec("ctl", ["rm", "-f", STOP_AT]);
      throw error;
    },
  );
}

async function asked({ lab, server }: Traveller, ask: Boundary["ask"], target: Host): Promise<void> {
  const words = {
    migrate: ["server", "migrate", server.name, "--host", target, "--read-only-drives", "carry"],
    confirm: ["server", "confirm", server.name],
    revert: ["server", "revert", server.name, "--yes"],
  }[ask];
  // Hosts that were off are heard again within a heartbeat.
  const isDone = async () => {
    const { code, stderr } = await lab.ferry(...words);
    if (code === 0) return true;
    if (/unavailable|has not been heard|is down|hook/.test(stderr)) return false;
    throw new Error(stderr.trim());
  };
  await waitFor(isDone, { deadlineMs: PATIENCE_MS, what: words.join(" ") });
}

async function reachMidCopy(traveller: Traveller, { target }: Route): Promise<void> {
  const { lab } = traveller;
  await lab.shape(target, COPY_RATE, "mig0");
  const mark = await traveller.mark();
  const received = async () => (await lab.linkCounters(target, "mig0")).receivedBytes;
  await asked(traveller, "migrate", target);
  const isCopying = async () => (await traveller.linesSince(mark)).some(({ step }) => step === "copy-disks");
  await waitFor(isCopying, { deadlineMs: PATIENCE_MS, what: "the copy begins" });
  const before = await received();
  await waitFor(async () => (await received()) - before > 2 * MIB, {
    deadlineMs: 60_000,
    what: "2 MiB of the copy",
  });
  const isOver = (await traveller.linesSince(mark)).some(
    ({ msg, step }) => msg === "done" && step === "copy-disks",
  );
  if (isOver) throw new Error("the copy was over before the fault struck");
}

async function continueController(lab: Lab): Promise<void> {
  await lab.output("ctl", ["sh", "-c", "kill -CONT $(cat /run/ferry-lab/controller.pid)"]);
}

/** By itself to its end; a person only decides what was finished. */
async function ending(traveller: Traveller, { ask }: Boundary, mark: number): Promise<string> {
  if (ask !== "migrate") return (await traveller.ended(mark)).status;
  const { status } = await traveller.rested(mark);
  if (status !== "finished") return status;
  const home = await traveller.home();
  await asked(traveller, "confirm", home);
  return (await traveller.ended(mark)).status;
}
