/** A directory for one test, gone with all that is in it when the test ends. */

import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export async function temporaryDirectory(): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "ferry-disk-")));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
