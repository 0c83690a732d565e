/** How much room there is for the files that come in: asked before any of their data is sent, and when it ran out. */

import { Fault } from "../../proto/fault.js";
import type { IncomingFile } from "./incoming-file.js";
import type { PartFile } from "./part-file.js";

interface Arriving {
  readonly part: PartFile;
  /** Upper bound of what the file will occupy. */
  readonly dataBytes: number;
}

/** Do they all fit on their file systems together? `opened` is the file that was added last and is blamed when it is one too many. */
export async function requireSpace(arriving: Iterable<Arriving>, opened: IncomingFile): Promise<void> {
  const devices = new Map<string, { needBytes: number; freeBytes: number }>();
  for (const { part, dataBytes } of arriving) {
    const { device, needBytes, freeBytes } = await part.space(dataBytes);
    const known = devices.get(device)?.needBytes ?? 0;
    devices.set(device, { needBytes: known + needBytes, freeBytes });
  }
  for (const { needBytes, freeBytes } of devices.values()) {
    if (needBytes <= freeBytes) continue;
    throw new Fault("out-of-space", `receive ${opened.id} into ${opened.targetPath}`, {
      have: `${freeBytes} bytes free`,
      need: `${needBytes} bytes`,
      fix: "free space on the target's file system or choose another target",
    });
  }
}

/** The same fault with what is free and what would still be needed. */
export async function lackOfSpace(fault: Fault, arriving: Iterable<Arriving>): Promise<Fault> {
  const spaces = await Promise.all([...arriving].map(({ part, dataBytes }) => part.space(dataBytes)));
  const freeBytes = Math.min(...spaces.map(space => space.freeBytes));
  const needBytes = spaces.reduce((sum, space) => sum + space.needBytes, 0);
  return new Fault(
    "out-of-space",
    fault.message,
    {
      have: `${freeBytes} bytes free`,
      need: `up to ${needBytes} bytes`,
      fix: "free space on the target's file system, then repeat",
    },
    { cause: fault },
  );
}
