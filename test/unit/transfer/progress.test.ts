/** Progress: what is reported is what was counted, with a rate and a time left that follow from it. */

import { expect, it } from "vitest";
import { ProgressMeter } from "../../../agent/transfer/progress.js";

it("a meter tells done, skipped, rate and time left", () => {
  let nowMs = 0;
  const meter = new ProgressMeter({ nowMs: () => nowMs }, () => {});
  meter.expectFile(0, "vda", 1000, 200);
  meter.expectFile(1, "vdb", 100, 0);
  expect(meter.sample()).toMatchObject({ totalBytes: 1100, doneBytes: 0, skippedBytes: 200, etaMs: 0 });
  const counts = { doneBytes: 50, skippedBytes: 7 }; // counted before this file was expected
  meter.follow(0, () => ({ ...counts }));
  nowMs = 1000;
  counts.doneBytes += 400;
  meter.skipped(1, 100);
  expect(meter.sample()).toEqual({
    totalBytes: 1100,
    doneBytes: 400,
    skippedBytes: 300,
    bytesPerSecond: 400,
    etaMs: 1000,
    files: [
      { id: "vda", totalBytes: 1000, doneBytes: 600 },
      { id: "vdb", totalBytes: 100, doneBytes: 100 },
    ],
  });
});

it("a meter reports once more when it stops, and not again", () => {
  const reports: number[] = [];
  const meter = new ProgressMeter({ nowMs: () => 0 }, ({ doneBytes }) => reports.push(doneBytes));
  meter.expectFile(0, "vda", 10, 0);
  let doneBytes = 0;
  meter.follow(0, () => ({ doneBytes, skippedBytes: 0 }));
  meter.start();
  doneBytes = 10;
  meter.stop();
  meter.stop();
  expect(reports).toEqual([10]);
});
