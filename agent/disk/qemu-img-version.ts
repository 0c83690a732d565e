/** For receipts: which qemu-img has changed a disk. */

import type { RunTool } from "../os/tool.js";

export async function qemuImgVersion(runTool: RunTool, signal: AbortSignal): Promise<string> {
  const said = await runTool(["qemu-img", "--version"], { timeoutMs: 10_000, signal });
  return /version (\S+)/.exec(said)?.[1] ?? "unknown";
}
