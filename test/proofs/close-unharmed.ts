/**
 * How each proof ends in its datacenter, whatever it was about: at no moment could a server have run on two hosts, and nothing
 * that went wrong was a bug. The datacenter is closed in any case, so that the next test finds nothing of it.
 */

import { expect } from "vitest";
import type { Datacenter } from "../simulation/datacenter.js";

export async function closeUnharmed(center: Datacenter): Promise<void> {
  try {
    expectUnharmed(center);
  } finally {
    await center.close();
  }
}

export function expectUnharmed({ breaches, bugs }: Datacenter): void {
  expect({ breaches, bugs }).toEqual({ breaches: [], bugs: [] });
}
