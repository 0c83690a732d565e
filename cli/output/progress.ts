/**
 * How far a migration is, in one line.
 *
 *     copy-disks [########------------]  42% 1.2 GiB of 2.8 GiB, 110 MiB/s, 15s left
 *
 * Pure: the same migration and width give the same line. On a terminal the line is redrawn in place; elsewhere it
 * is repeated, ever more rarely as the copy ages, so that a log of a day-long copy stays readable.
 */

import type { Migration, Progress } from "../../proto/gen/ferry/v1/model.js";
import { printable } from "./printable.js";
import { formatBytes, formatDuration, formatRate } from "./units.js";

/** The step that moves bytes. */
const COPYING = "copy-disks";
const BAR_COLUMNS = 20;
const MIN_WIDTH_FOR_BAR = 72;

/** For a terminal: at most `width` columns. Empty while there is nothing to tell. */
export function renderProgress(migration: Migration, width: number): string {
  const { step, direction, progress } = migration;
  if (step === "") return "";
  const what = printable(direction === "unwinding" ? `unwinding ${step}` : step);
  if (!isCopying(migration) || progress === undefined || progress.totalBytes === 0)
    return `${what} …`.slice(0, width);
  const bar = width >= MIN_WIDTH_FOR_BAR ? ` ${drawBar(fraction(progress))}` : "";
  return `${what}${bar} ${describe(progress)}`.slice(0, width);
}

/** For a log: no bar. What was copied is no news any more when another step is carried out. */
export function renderPlainProgress(migration: Migration): string {
  const text = isCopying(migration) ? renderCopied(migration.progress) : "";
  return text === "" ? "" : `${migration.step}: ${text}`;
}

/** How much of the disks has been copied, whenever that was. */
export function renderCopied(progress: Progress | undefined): string {
  return progress === undefined || progress.totalBytes === 0 ? "" : describe(progress).trim();
}

/** How long to stay silent between two plain progress lines of a copy that has run for `ageMs`. */
export function plainIntervalMs(ageMs: number): number {
  if (ageMs < 60_000) return 3_000;
  return ageMs < 600_000 ? 10_000 : 30_000;
}

const isCopying = ({ step, direction }: Migration): boolean => step === COPYING && direction !== "unwinding";

function describe(progress: Progress): string {
  const { doneBytes, bytesPerSecond, etaMs } = progress;
  const percent = `${Math.floor(fraction(progress) * 100)}%`.padStart(4);
  const rate = bytesPerSecond > 0 ? `, ${formatRate(bytesPerSecond)}` : "";
  const left = etaMs > 0 ? `, ${formatDuration(Math.max(etaMs, 1000))} left` : "";
  return `${percent} ${formatBytes(doneBytes)} of ${formatBytes(toSendBytes(progress))}${rate}${left}`;
}

/** Agents count while they copy: never more than all of it, whatever they say. */
function fraction(progress: Progress): number {
  const toSend = toSendBytes(progress);
  return toSend === 0 ? 1 : Math.min(progress.doneBytes / toSend, 1);
}

/** Holes and zeros are not sent: a disk that is mostly empty would else seem to stand still, and then to be done. */
const toSendBytes = ({ totalBytes, skippedBytes }: Progress): number =>
  Math.max(0, totalBytes - skippedBytes);

function drawBar(done: number): string {
  const filled = Math.round(done * BAR_COLUMNS);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_COLUMNS - filled)}]`;
}
