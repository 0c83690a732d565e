/**
 * Makes a writable config drive: a small vfat image labelled config-2 with the given files in it.
 *
 * Names are paths below the drive's root ("openstack/latest/meta_data.json"); folders are made as needed. A failure
 * removes the image.
 */

import { mkdir, mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { RunTool } from "../os/tool.js";
import { createSparseFile, flushFile } from "./sparse-file.js";

/** What Nova gives its vfat config drives. */
const DRIVE_BYTES = 64 * 1024 * 1024;
const TOOL_TIMEOUT_MS = 30_000;

export async function createConfigDrive(
  runTool: RunTool,
  path: string,
  contents: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  const names = Object.keys(contents);
  for (const name of names) refuseBadName(name);
  await createSparseFile(path, DRIVE_BYTES);
  const staging = await mkdtemp(join(tmpdir(), "ferry-config-"));
  try {
    await runTool(["mkfs.vfat", "-n", "config-2", path], { timeoutMs: TOOL_TIMEOUT_MS });
    for (const [name, bytes] of Object.entries(contents)) {
      await mkdir(dirname(join(staging, name)), { recursive: true });
      await writeFile(join(staging, name), bytes, { mode: 0o600 });
    }
    const top = [...new Set(names.map(name => name.split("/")[0] ?? name))].map(name => join(staging, name));
    await runTool(["mcopy", "-s", "-i", path, ...top, "::"], { timeoutMs: TOOL_TIMEOUT_MS });
    await flushFile(path);
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function refuseBadName(name: string): void {
  const isPlain =
    name !== "" && name === normalize(name) && !name.startsWith("/") && !name.split("/").includes("..");
  if (!isPlain)
    throw new Fault("invalid-argument", `${JSON.stringify(name)} is no path within a config drive`);
}
