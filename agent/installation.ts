/** Which installation this is, and how often it has started (SAFETY R14): a number that repeats or falls is a restored or cloned host. */

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Journal } from "./journal/journal.js";

export interface InstallationFacts {
  readonly installId: string;
  readonly incarnation: number;
  readonly machineId: string;
  readonly instanceId: string;
}

/** Raises the counter; call it once per start. */
export async function installationFacts(journal: Journal): Promise<InstallationFacts> {
  const machineId = await readFile("/etc/machine-id", "utf8").catch(() => "");
  return journal.write(() => {
    const installId = journal.meta("install_id") ?? randomUUID();
    const incarnation = Number(journal.meta("incarnation") ?? "0") + 1;
    journal.setMeta("install_id", installId);
    journal.setMeta("incarnation", String(incarnation));
    return { installId, incarnation, machineId: machineId.trim(), instanceId: randomUUID() };
  });
}
