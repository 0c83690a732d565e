/**
 * What `agent/fence/50-ferry` decides, on the simulated disk, step by step as the script does it. The contract suite
 * runs both on the same cases.
 */

import { constants } from "node:fs";
import type { Disk } from "./disk.js";

const NAMESPACE = /xmlns[^>]*=["']https:\/\/ferry\.dev\/xmlns\/domain\/1["']/;
const INCARNATION = /<(?:ferry:)?incarnation\s(?:[^>]*\s)?id=["']([^"']*)["']/g;

export interface HookPlace {
  readonly disk: Disk;
  readonly stateDir: string;
  readonly runDir: string;
  /** For the time in a mark. */
  readonly nowMs: number;
}

export type HookOperation =
  | "prepare"
  | "restore"
  | "migrate"
  | "reconnect"
  | "started"
  | "stopped"
  | "release";

/** Undefined: the operation may go on. Otherwise the sentence that a person sees. */
export function hookRefusal(
  place: HookPlace,
  operation: HookOperation,
  name: string,
  xml: string,
): string | undefined {
  if (operation !== "prepare" && operation !== "restore" && operation !== "migrate") return undefined;
  const problem = problemOf(place, operation, name, xml);
  return problem === undefined ? undefined : `ferry: refused to ${operation} ${name}: ${problem}`;
}

function problemOf(
  place: HookPlace,
  operation: HookOperation,
  name: string,
  xml: string,
): string | undefined {
  const uuid = /<uuid>([0-9a-f-]{36})\s*</.exec(xml)?.[1];
  if (uuid === undefined) return "no uuid was found in its XML";
  const state = `${place.stateDir}/guests/${uuid}`;
  if (place.disk.find(state, false) === undefined) {
    if (!NAMESPACE.test(xml)) return undefined;
    return `it is managed by Ferry but ${state} is missing; start ferry-agent, which rebuilds it`;
  }
  const [, verdict, subject = ""] = /^(\S+) ?([^\n]*)\n/.exec(textAt(place.disk, state) ?? "") ?? [];
  if (verdict === undefined) return `${state} cannot be read; restart ferry-agent, which rebuilds it`;
  if (verdict === "deny") return subject;
  if (verdict !== "allow")
    return `${state} says neither allow nor deny; restart ferry-agent, which rebuilds it`;
  const incarnation = [...xml.matchAll(INCARNATION)].map(match => match[1]).join(",");
  if (subject === "" || incarnation !== subject) {
    return `it is defined as incarnation ${incarnation || "(none)"} but this host may run only ${subject || "(none)"}`;
  }
  return startedBy(place, operation, name, uuid, incarnation);
}

function startedBy(
  { disk, runDir, stateDir, nowMs }: HookPlace,
  operation: HookOperation,
  name: string,
  uuid: string,
  incarnation: string,
): string | undefined {
  const token = `${runDir}/starting/${uuid}`;
  const isAgents = textAt(disk, token) === `${incarnation}\n`;
  if (operation === "migrate")
    return isAgents ? undefined : `only Ferry moves a managed guest; use "ferry server migrate ${name}"`;
  if (operation !== "prepare") return undefined;
  if (isAgents) disk.remove(token, "unlink");
  else return markRun(disk, stateDir, uuid, incarnation, nowMs);
  return undefined;
}

/** The first start behind the agent's back counts. */
function markRun(
  disk: Disk,
  stateDir: string,
  uuid: string,
  incarnation: string,
  nowMs: number,
): string | undefined {
  const ran = `${stateDir}/ran`;
  try {
    if (!textAt(disk, `${ran}/${uuid}`)?.startsWith(`${incarnation} `)) {
      disk.makeDirectories(ran, 0o755);
      disk.flushPath(stateDir);
      const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
      const file = disk.open(
        `${ran}/.${uuid}`,
        constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
        0o644,
      );
      file.write(Buffer.from(`${incarnation} ${time}\n`), 0);
      file.flush();
      file.close();
      disk.rename(`${ran}/.${uuid}`, `${ran}/${uuid}`, true);
    }
    disk.flushPath(ran);
    return undefined;
  } catch {
    return `this start could not be recorded in ${ran}; make it writable and free space on its file system`;
  }
}

function textAt(disk: Disk, path: string): string | undefined {
  const inode = disk.find(path);
  return inode?.kind === "file" ? inode.data.toString("utf8", 0, inode.sizeBytes) : undefined;
}
