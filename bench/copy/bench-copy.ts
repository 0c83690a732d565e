/** `bench copy`: from the words on the command line to a report. Whatever happens, nothing of it stays on the machine. */

import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { formatBytes } from "../../cli/output/units.js";
import { Fault } from "../../proto/fault.js";
import type { DataSet } from "./data-sets.js";
import { measure, type Samples, type Subject } from "./measure.js";
import { loopback, type Network } from "./network.js";
import { type Report, renderSample, reportOf } from "./report.js";
import type { Row } from "./rows/row.js";

export interface CopyRequest {
  readonly rows: readonly Row[];
  readonly runs: number;
  readonly dataSet: DataSet;
  /** A file of the user's instead of the set's; only its first `sizeBytes` when that is given too. */
  readonly source?: string;
  readonly sizeBytes?: number;
  /** Where source and target lie; memory when there is enough. */
  readonly folder?: string;
}

export interface CopyResult {
  readonly report: Report;
  readonly samples: Samples;
}

const SHARED_MEMORY = "/dev/shm";
const SPARE_BYTES = 256 * 1024 * 1024;

export async function benchCopy(
  request: CopyRequest,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<CopyResult> {
  requireTools(request.rows);
  const folder = mkdtempSync(join(request.folder ?? defaultFolder(), "ferry-bench-"));
  let network: Network = loopback;
  try {
    const subject = await makeSubject(request, folder);
    requireSuitable(request.rows, subject);
    requireRoom(folder, subject);
    network = request.dataSet.network();
    const name = nameOf(request, subject);
    const { rows, runs } = request;
    say(`${name}: ${formatBytes(subject.dataBytes)} of data, over ${network.description}, in ${folder}\n`);
    const onSample: Parameters<typeof measure>[0]["onSample"] = (row, run, sample) =>
      say(renderSample(row, run, runs, sample, subject.dataBytes));
    const onInterrupted = (row: Row, run: number) => say(`${run}/${runs} ${row.name}: not finished\n`);
    const samples = await measure({ rows, runs, subject, folder, network, signal, onSample, onInterrupted });
    return { report: reportOf(name, subject, samples), samples };
  } finally {
    network.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

const nameOf = ({ source, dataSet }: CopyRequest, { sizeBytes }: Subject): string =>
  source ?? `${dataSet.name}, ${formatBytes(sizeBytes)}`;

const defaultFolder = (): string => (existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir());

async function makeSubject(request: CopyRequest, folder: string): Promise<Subject> {
  const { dataSet } = request;
  const path = request.source === undefined ? join(folder, "source") : resolve(request.source);
  if (request.source === undefined) {
    const sizeBytes = request.sizeBytes ?? dataSet.defaultSizeBytes;
    requireFree(folder, expectedBytes(dataSet, sizeBytes));
    await dataSet.make(path, sizeBytes);
  } else requireReadable(path);
  const source =
    request.source !== undefined && request.sizeBytes !== undefined
      ? beginningOf(path, join(folder, "source"), request.sizeBytes)
      : path;
  const { size, blocks } = statSync(source);
  const dataBytes = blocks * 512;
  if (dataBytes === 0)
    throw new Fault("invalid-argument", `${source} holds no data`, { need: "a file with data" });
  return { source, sizeBytes: size, dataBytes, prepareTarget: dataSet.prepareTarget };
}

/** Holes stay holes: the figures are per GiB of data. */
function beginningOf(path: string, copy: string, sizeBytes: number): string {
  if (statSync(path).size < sizeBytes) {
    const sizes = {
      have: formatBytes(statSync(path).size),
      need: `${formatBytes(sizeBytes)} or a smaller --size`,
    };
    throw new Fault("invalid-argument", `${path} is too short`, sizes);
  }
  const blocks = [`bs=1M`, "iflag=count_bytes", `count=${sizeBytes}`, "conv=sparse", "status=none"];
  execFileSync("dd", [`if=${path}`, `of=${copy}`, ...blocks]);
  execFileSync("truncate", ["-s", String(sizeBytes), copy]);
  return copy;
}

function requireReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Fault("invalid-argument", `read ${path}: ${cause}`);
  }
  if (!statSync(path).isFile()) throw new Fault("invalid-argument", `${path} is not an ordinary file`);
}

/** QEMU counts in sectors, and would make the target longer. */
function requireSuitable(rows: readonly Row[], { source, sizeBytes }: Subject): void {
  const row = rows.find(({ name }) => name.startsWith("nbd-"));
  if (row === undefined || sizeBytes % 512 === 0) return;
  throw new Fault("invalid-argument", `${row.name} cannot copy ${source}`, {
    have: `${sizeBytes} bytes`,
    need: "whole sectors of 512 bytes",
    fix: "--size, or --rows without it",
  });
}

/** Source and target; what the target has before; the files that a file system image is made from, two thirds of it. */
const expectedBytes = ({ name }: DataSet, sizeBytes: number): number => {
  if (name === "sparse") return sizeBytes / 4;
  if (name === "delta") return 3 * sizeBytes;
  return name === "fs" || name === "shaped" ? 1.5 * sizeBytes : 2 * sizeBytes;
};

/** The target may need the whole size: not every tool keeps holes. */
function requireRoom(folder: string, subject: Subject): void {
  requireFree(folder, subject.sizeBytes);
}

function requireFree(folder: string, needBytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= needBytes + SPARE_BYTES) return;
  throw new Fault("out-of-space", `copy in ${folder}`, {
    have: formatBytes(bavail * bsize),
    need: formatBytes(needBytes + SPARE_BYTES),
    fix: "--folder on a larger file system, or a smaller --size",
  });
}

function requireTools(rows: readonly Row[]): void {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const isThere = (tool: string) =>
    tool.startsWith("/") ? existsSync(tool) : places.some(place => existsSync(join(place, tool)));
  const missing = [...new Set(["cmp", ...rows.flatMap(row => row.needs)])].filter(tool => !isThere(tool));
  if (missing.length === 0) return;
  throw new Fault("unsupported", `run ${rows.map(({ name }) => name).join(", ")}`, {
    have: `no ${missing.join(", ")}`,
    fix: "bash test/setup.sh bench",
  });
}
