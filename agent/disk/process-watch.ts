/**
 * Which processes hold on to a server (SAFETY R7): QEMUs that run with its uuid, and whoever has its files open.
 *
 * Reads /proc (its root is a parameter). A process that ends while it is looked at is no finding; one that cannot be
 * read is reported as unknown, and unknown is not no: the caller does not proceed.
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

export interface ProcessSighting {
  readonly pid: number;
  /** Its program, as in its command line. */
  readonly program: string;
  /** The file that it has open; for a QEMU, its uuid argument. */
  readonly what: string;
}

export interface ProcessReport {
  readonly found: readonly ProcessSighting[];
  /** Processes that could not be looked at, and why. */
  readonly unknown: readonly { readonly pid: number; readonly reason: string }[];
}

/** QEMU processes that were started with `-uuid <uuid>`, whatever libvirt knows of them. */
export function findQemuProcesses(procRoot: string, uuid: string): Promise<ProcessReport> {
  const wanted = uuid.toLowerCase();
  return lookAtAll(procRoot, async pid => {
    const words = await commandLine(procRoot, pid);
    const isMeant = words.some((word, at) => word === "-uuid" && words[at + 1]?.toLowerCase() === wanted);
    return isMeant ? [{ pid, program: words[0] ?? "", what: wanted }] : [];
  });
}

/** Processes that have one of these files open, under whatever name. A path that does not exist is nobody's. */
export async function findOpeners(procRoot: string, paths: readonly string[]): Promise<ProcessReport> {
  const wanted = new Map<string, string>();
  for (const path of paths) {
    const key = await fileKey(path);
    if (key !== undefined) wanted.set(key, path);
  }
  return lookAtAll(procRoot, pid => openedBy(procRoot, pid, wanted));
}

async function openedBy(
  procRoot: string,
  pid: number,
  wanted: ReadonlyMap<string, string>,
): Promise<ProcessSighting[]> {
  const directory = join(procRoot, `${pid}`, "fd");
  const names = await readdir(directory);
  const keys = await Promise.all(names.map(name => fileKey(join(directory, name))));
  const opened = new Set(keys.flatMap(key => (key === undefined ? [] : (wanted.get(key) ?? []))));
  if (opened.size === 0) return [];
  const [program = ""] = await commandLine(procRoot, pid);
  return [...opened].map(path => ({ pid, program, what: path }));
}

async function lookAtAll(
  procRoot: string,
  look: (pid: number) => Promise<ProcessSighting[]>,
): Promise<ProcessReport> {
  const found: ProcessSighting[] = [];
  const unknown: { pid: number; reason: string }[] = [];
  const pids = (await readdir(procRoot)).filter(name => /^\d+$/.test(name)).map(Number);
  for (const pid of pids) {
    try {
      found.push(...(await look(pid)));
    } catch (error) {
      if (!isGone(error))
        unknown.push({ pid, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { found, unknown };
}

const commandLine = async (procRoot: string, pid: number): Promise<string[]> =>
  (await readFile(join(procRoot, `${pid}`, "cmdline"), "utf8")).split("\0");

/** Device and inode behind a path or a descriptor; undefined when there is none any more. */
async function fileKey(path: string): Promise<string | undefined> {
  try {
    const facts = await stat(path, { bigint: true });
    // One block device may have several nodes.
    return facts.isBlockDevice() ? `block ${facts.rdev}` : `${facts.dev}:${facts.ino}`;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

const isGone = (error: unknown): boolean =>
  ["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "");
