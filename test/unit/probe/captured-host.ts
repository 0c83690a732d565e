/**
 * Captured /sys and /proc trees of real kernels on several kinds of hardware (test/fixtures/hosts), unpacked for
 * one test file, beside the kernel log of the same boot, which says independently what was found.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Roots } from "../../../agent/probe/roots.js";

const ARCHIVES = join(import.meta.dirname, "../../fixtures/hosts");

/** In memory where there is such a place: a capture is hundreds of tiny files, for which a busy disk takes seconds. */
const PLACE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export interface CapturedHost {
  readonly directory: string;
  readonly roots: Roots;
  /** The kernel log, or another file of the capture. */
  read(path: string): string;
  /** All regular files, relative to the directory. */
  files(): string[];
  remove(): void;
}

export function unpackHost(name: string): CapturedHost {
  const directory = mkdtempSync(join(PLACE, `ferry-${name}-`));
  execFileSync("tar", ["-xzf", join(ARCHIVES, `${name}.tar.gz`), "-C", directory]);
  return {
    directory,
    roots: rootsBelow(directory),
    read: path => readFileSync(join(directory, path), "utf8"),
    files: () =>
      execFileSync("find", [directory, "-type", "f", "-printf", "%P\\n"], { encoding: "utf8" })
        .trim()
        .split("\n"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export const rootsBelow = (directory: string): Roots => ({
  sys: join(directory, "sys"),
  proc: join(directory, "proc"),
  etc: join(directory, "etc"),
  share: join(directory, "share"),
});
