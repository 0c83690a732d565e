/**
 * Bytes, rate and time left of one transfer, reported four times a second and once more at the end.
 *
 * `total` is the size of the files; `done` counts data handed over (sent, or received and written), `skipped` what did
 * not have to be sent because it is zero or was there before. The counts are the engine's. The rate is that of the last five seconds.
 */

export interface TransferProgress {
  readonly totalBytes: number;
  readonly doneBytes: number;
  readonly skippedBytes: number;
  readonly bytesPerSecond: number;
  /** 0 when not known. */
  readonly etaMs: number;
  readonly files: readonly FileProgress[];
}

export interface FileProgress {
  readonly id: string;
  readonly totalBytes: number;
  readonly doneBytes: number;
}

export interface Clock {
  nowMs(): number;
}

const REPORT_MS = 250;
const WINDOW_REPORTS = 20;

/** Bytes handed over, and bytes that did not have to be. */
export interface Counts {
  readonly doneBytes: number;
  readonly skippedBytes: number;
}

interface Tally {
  readonly id: string;
  readonly totalBytes: number;
  doneBytes: number;
  skippedBytes: number;
  readonly counts: () => Counts;
  readonly before: Counts;
}

const nothing = (): Counts => ({ doneBytes: 0, skippedBytes: 0 });

function countedOf({ id, totalBytes, doneBytes, skippedBytes, counts, before }: Tally) {
  const now = counts();
  return {
    id,
    totalBytes,
    doneBytes: doneBytes + now.doneBytes - before.doneBytes,
    skippedBytes: skippedBytes + now.skippedBytes - before.skippedBytes,
  };
}

export class ProgressMeter {
  readonly #clock: Clock;
  readonly #report: (progress: TransferProgress) => void;
  readonly #tallies: Tally[] = [];
  readonly #samples: { atMs: number; doneBytes: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, report: (progress: TransferProgress) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#report(this.sample()), REPORT_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#report(this.sample());
  }

  /** Sizes a file and begins its count; `skippedBytes` is known not to be sent, as holes are. */
  expectFile(index: number, id: string, totalBytes: number, skippedBytes: number): void {
    this.#tallies[index] = {
      id,
      totalBytes,
      doneBytes: 0,
      skippedBytes,
      counts: nothing,
      before: nothing(),
    };
  }

  /** Who counts the bytes of a file from now on; what it has counted already is not this file's progress. */
  follow(index: number, counts: () => Counts): void {
    const tally = this.#tallies[index];
    if (tally !== undefined) this.#tallies[index] = { ...tally, counts, before: counts() };
  }

  /** Counted by the caller, where nobody is followed. */
  done(index: number, bytes: number): void {
    const tally = this.#tallies[index];
    if (tally !== undefined) tally.doneBytes += bytes;
  }

  skipped(index: number, bytes: number): void {
    const tally = this.#tallies[index];
    if (tally !== undefined) tally.skippedBytes += bytes;
  }

  /** Takes a sample for the rate and says how things stand. */
  sample(): TransferProgress {
    const files = this.#tallies.filter(tally => tally !== undefined).map(countedOf);
    const doneBytes = files.reduce((sum, { doneBytes: done }) => sum + done, 0);
    const skippedBytes = files.reduce((sum, { skippedBytes: skipped }) => sum + skipped, 0);
    const totalBytes = files.reduce((sum, { totalBytes: total }) => sum + total, 0);
    const bytesPerSecond = this.#rate(doneBytes);
    const leftBytes = Math.max(0, totalBytes - doneBytes - skippedBytes);
    const etaMs = bytesPerSecond > 0 ? Math.round((leftBytes / bytesPerSecond) * 1000) : 0;
    return {
      totalBytes,
      doneBytes,
      skippedBytes,
      bytesPerSecond,
      etaMs,
      files: files.map(tally => ({
        id: tally.id,
        totalBytes: tally.totalBytes,
        doneBytes: tally.doneBytes + tally.skippedBytes,
      })),
    };
  }

  #rate(doneBytes: number): number {
    const atMs = this.#clock.nowMs();
    this.#samples.push({ atMs, doneBytes });
    if (this.#samples.length > WINDOW_REPORTS) this.#samples.shift();
    const oldest = this.#samples[0];
    if (oldest === undefined || atMs <= oldest.atMs) return 0;
    return Math.max(0, Math.round(((doneBytes - oldest.doneBytes) * 1000) / (atMs - oldest.atMs)));
  }
}
