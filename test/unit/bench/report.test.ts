/** What the benchmarks print. */

import { describe, expect, it } from "vitest";
import type { Sample } from "../../../bench/copy/measure.js";
import { renderReport, reportOf } from "../../../bench/copy/report.js";
import { ROWS, rowsNamed } from "../../../bench/copy/rows/rows.js";

const GIB = 1024 ** 3;
const subject = { source: "/source", sizeBytes: 8 * GIB, dataBytes: 2 * GIB };

const sample = (cpuSeconds: number, wallSeconds: number, isEqual = true): Sample => ({
  cpuSeconds,
  wallSeconds,
  isEqual,
  note: undefined,
});

const samplesOf = (rows: Record<string, readonly Sample[]>) =>
  new Map(Object.entries(rows).map(([name, ofRow]) => [rowsNamed(name)[0] ?? raise(name), ofRow]));

function raise(name: string): never {
  throw new Error(`no row ${name}`);
}

describe("a report", () => {
  it("holds medians per GiB of data, in exactly these fields", () => {
    const samples = samplesOf({ scp: [sample(10, 4), sample(8, 1), sample(9, 2)] });
    expect(JSON.parse(JSON.stringify(reportOf("random", subject, samples)))).toEqual({
      source: "random",
      rows: [{ name: "scp", runs: 3, cpuSecondsPerGiB: 4.5, gibPerSecond: 1, verified: true }],
    });
  });

  it("takes the middle between two of an even number", () => {
    const samples = samplesOf({ cp: [sample(1, 1), sample(3, 1), sample(2, 1), sample(9, 1)] });
    expect(reportOf("random", subject, samples).rows[0]?.cpuSecondsPerGiB).toBe(1.25);
  });

  it("calls a row verified only when every copy was equal", () => {
    const samples = samplesOf({ tcp: [sample(1, 1), sample(1, 1, false), sample(1, 1)] });
    expect(reportOf("random", subject, samples).rows[0]?.verified).toBe(false);
    expect(renderReport(reportOf("random", subject, samples), samples)).toContain("NO");
  });

  it("leaves out a row that was interrupted before its first copy was complete", () => {
    const samples = samplesOf({ "ferry-tls-1": [sample(2, 1)], scp: [] });
    const report = reportOf("random", subject, samples);
    expect(report.rows.map(({ name }) => name)).toEqual(["ferry-tls-1"]);
    expect(renderReport(report, samples)).not.toContain("scp");
  });

  it("tells Ferry's processor time and speed as multiples of every other's", () => {
    const samples = samplesOf({ "ferry-tls-1": [sample(2, 1)], scp: [sample(8, 4)] });
    expect(renderReport(reportOf("random", subject, samples), samples)).toMatch(/scp +\| +0\.25x \/ 4\.00x/);
  });
});

describe("rows", () => {
  it("have names of their own", () => {
    expect(new Set(ROWS.map(({ name }) => name)).size).toBe(ROWS.length);
  });

  it("that do not exist are refused, with those that do", () => {
    expect(() => rowsNamed("scp,scp2")).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  });
});
