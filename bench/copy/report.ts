/** What was measured, for programs and for people: medians, and Ferry's ratios to everything else. */

import { type Column, renderTable } from "../../cli/output/table.js";
import { formatBytes } from "../../cli/output/units.js";
import type { Sample, Samples, Subject } from "./measure.js";
import type { Row } from "./rows/row.js";
import { isFerry } from "./rows/rows.js";

const GIB = 1024 ** 3;

export interface RowResult {
  readonly name: string;
  readonly runs: number;
  readonly cpuSecondsPerGiB: number;
  readonly gibPerSecond: number;
  /** Every copy was equal to its source. */
  readonly verified: boolean;
}

export interface Report {
  readonly source: string;
  readonly rows: readonly RowResult[];
}

/** A row that was interrupted before its first copy was complete has no result. */
export function reportOf(source: string, subject: Subject, samples: Samples): Report {
  const gib = subject.dataBytes / GIB;
  const measured = [...samples].filter(([, ofRow]) => ofRow.length > 0);
  const rows = measured.map(([{ name }, ofRow]) => ({
    name,
    runs: ofRow.length,
    cpuSecondsPerGiB: rounded(median(ofRow.map(sample => sample.cpuSeconds)) / gib),
    gibPerSecond: rounded(gib / median(ofRow.map(sample => sample.wallSeconds))),
    verified: ofRow.every(sample => sample.isEqual),
  }));
  return { source, rows };
}

export function renderReport(report: Report, samples: Samples): string {
  const summaries = new Map([...samples.keys()].map(row => [row.name, row.summary]));
  const columns: Column<RowResult>[] = [
    { title: "Row", value: ({ name }) => name },
    { title: "Runs", value: ({ runs }) => String(runs), right: true },
    { title: "CPU s/GiB", value: ({ cpuSecondsPerGiB }) => cpuSecondsPerGiB.toFixed(2), right: true },
    { title: "GiB/s", value: ({ gibPerSecond }) => gibPerSecond.toFixed(2), right: true },
    { title: "Equal", value: ({ verified }) => (verified ? "yes" : "NO") },
    { title: "What it does", value: ({ name }) => summaries.get(name) ?? "" },
  ];
  return [
    renderTable(columns, report.rows),
    ...renderRatios(report, [...samples.keys()]),
    ...notes(samples),
  ].join("");
}

/** A column per Ferry row: its processor time and its speed as multiples of the peer's. */
function renderRatios(report: Report, rows: readonly Row[]): string[] {
  const resultOf = (row: Row) => report.rows.find(({ name }) => name === row.name);
  const measured = rows.filter(row => resultOf(row) !== undefined);
  const ferry = measured.filter(isFerry);
  const peers = measured.filter(row => !isFerry(row));
  if (ferry.length === 0 || peers.length === 0) return [];
  const columns: Column<Row>[] = [
    { title: "Against", value: ({ name }) => name },
    ...ferry.map(row => ({
      title: row.name,
      value: (peer: Row) => ratios(resultOf(row), resultOf(peer)),
      right: true,
    })),
  ];
  return ["\nFerry's processor time / speed, as multiples of the other's:\n", renderTable(columns, peers)];
}

function ratios(own: RowResult | undefined, other: RowResult | undefined): string {
  if (own === undefined || other === undefined) return "";
  const cpu = own.cpuSecondsPerGiB / other.cpuSecondsPerGiB;
  return `${cpu.toFixed(2)}x / ${(own.gibPerSecond / other.gibPerSecond).toFixed(2)}x`;
}

function notes(samples: Samples): string[] {
  return [...samples].flatMap(([{ name }, ofRow]) => {
    const note = ofRow.at(-1)?.note;
    return note === undefined ? [] : [`${name}: ${note}\n`];
  });
}

/** One line while it runs. */
export function renderSample(row: Row, run: number, runs: number, sample: Sample, dataBytes: number): string {
  const { wallSeconds, cpuSeconds, isEqual } = sample;
  const cost = `${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s`;
  return `${run}/${runs} ${row.name}: ${formatBytes(dataBytes)} in ${cost}${isEqual ? "" : ", NOT EQUAL"}\n`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.ceil((sorted.length - 1) / 2)];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}

const rounded = (value: number): number => Number(value.toPrecision(4));
