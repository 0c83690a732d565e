/** Migrations as the saga engine runs them: their world, their epoch, and what readers see of each journal line. */

import type { StepRecord } from "../../proto/gen/ferry/v1/model.js";
import type { SagaState } from "../saga/fold.js";
import type { Line } from "../saga/journal-line.js";
import type { SagaKind } from "../saga/kind.js";
import type { Facts } from "../saga/plan.js";
import type { Write } from "../saga/step.js";
import { type MigrationRecord, updateMigration } from "../store/migrations.js";
import { raiseEpoch, raiseTerm, updateServer } from "../store/servers.js";
import type { QueueLimits } from "./fair-queue.js";
import { MigrationWorld, type WorldEdges } from "./migration-world.js";
import { noticeOf } from "./notices.js";
import { tellMigration } from "./notify.js";
import type { MigrationRequest } from "./request.js";
import { story } from "./story.js";
import { askTurn, freesTurn, leaveTurn, TURN_STEP } from "./turns.js";

interface Edges extends WorldEdges {
  readonly queueLimits: QueueLimits;
  readonly onTakenUp: (migrationId: string, state: SagaState) => void;
  /** Somebody else may copy now. */
  readonly turnFreed: () => void;
}

export function migrationKind(edges: Edges): SagaKind<MigrationWorld> {
  return {
    plan: story,
    world: (call, known) => new MigrationWorld(call, requestOf(known).serverId, edges),
    raiseEpoch: (known, { queries }) => raiseEpoch(queries, requestOf(known).serverId),
    raiseTerm: (known, { queries }) => raiseTerm(queries, requestOf(known).serverId),
    follow,
    mayBegin: async (step, known, write) =>
      step !== TURN_STEP || askTurn(requestOf(known), write, edges.queueLimits),
    waits: edges.changed,
    committed: (migrationId, line) => {
      edges.onLine(migrationId, line);
      edges.changed(migrationId);
      if (freesTurn(line)) edges.turnFreed();
    },
    adopted: edges.onTakenUp,
    deadlineAtMs,
  };
}

/** What every saga of this kind was asked with. */
export const requestOf = (known: Facts): MigrationRequest => known as unknown as MigrationRequest;

/** While the guest is off: when its server has been down for as long as it may be. */
function deadlineAtMs(known: Facts): number | undefined {
  const offSinceMs = Number(known.offSinceMs ?? 0);
  return offSinceMs === 0 ? undefined : offSinceMs + requestOf(known).maxDowntimeMs;
}

async function follow(state: SagaState, line: Line, write: Write): Promise<void> {
  const { queries, sagaId, epoch, nowMs } = write;
  const request = requestOf(state.known);
  await leaveTurn(line, write);
  if (line.kind === "waiting") await enterVerify(request, write);
  if (line.kind === "verdict" && line.verdict === "revert") {
    await updateServer(queries, request.serverId, { taskState: "resize_reverting" }, nowMs);
  }
  await updateMigration(queries, sagaId, { ...seenOf(state, line), epoch }, nowMs);
  if (line.kind === "ended") await updateMigration(queries, sagaId, { endedAtMs: nowMs }, nowMs);
  const told = { text: eventOf(state, line), notice: noticeOf(state, line) };
  await tellMigration(queries, sagaId, told, nowMs);
}

/** VERIFY_RESIZE: the server runs on its target, and everything can still be taken back. */
async function enterVerify({ serverId, autoConfirmAfterMs }: MigrationRequest, write: Write): Promise<void> {
  const { queries, sagaId, nowMs } = write;
  await updateServer(queries, serverId, { vmState: "resized", taskState: "" }, nowMs);
  const window = {
    autoConfirmLeftMs: autoConfirmAfterMs,
    autoConfirmAtMs: autoConfirmAfterMs === 0 ? 0 : nowMs + autoConfirmAfterMs,
  };
  await updateMigration(queries, sagaId, { status: "finished", ...window }, nowMs);
}

const DIRECTIONS = {
  forward: "forward",
  onward: "forward",
  waiting: "waiting",
  unwinding: "unwinding",
  ended: "ended",
} as const;

function seenOf(state: SagaState, line: Line): Partial<MigrationRecord> {
  return {
    step: "step" in line && state.phase !== "ended" ? line.step : "",
    direction: DIRECTIONS[state.phase],
    steps: state.steps.map(recordOf),
    stuck: state.stuck !== undefined,
    fault: state.stuck?.fault ?? state.cause,
  };
}

const recordOf = ({ name, state, startedAtMs, endedAtMs, note }: SagaState["steps"][number]): StepRecord => ({
  name,
  state,
  startedAtMs,
  endedAtMs,
  note,
});

function eventOf(state: SagaState, line: Line): string {
  switch (line.kind) {
    case "begun":
      return line.step;
    case "done":
      return `${line.step}: done`;
    case "unwinding":
      return `${line.step}: ${line.cause.message}; taking everything back`;
    case "undone":
      return `${line.step}: taken back`;
    case "tidied":
      return `${line.step}: cleaned up`;
    case "waiting":
      return "finished: confirm or revert";
    case "verdict":
      return `${line.verdict} by ${line.by}`;
    case "stuck":
      return `${line.step}: stuck: ${line.fault.message}`;
    case "resumed":
      return `resumed by ${line.by}`;
    case "told":
      return toldLine(state, line.by);
    case "ended":
      return state.cause === undefined ? "ended" : `ended: ${state.cause.message}`;
  }
}

function toldLine({ known }: SagaState, by: string): string {
  const { fencedHost } = requestOf(known);
  return fencedHost === undefined
    ? `${by} has said something`
    : `${fencedHost.host} was declared dead by ${by}: ${fencedHost.reason}`;
}
