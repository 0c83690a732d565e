/** Whether this host reaches every volume of a server that is to come, and finds each as the source does. */

import { asFault } from "../../proto/fault.js";
import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import type { DomainDisk } from "../domain/domain-disk.js";
import { readDomain } from "../domain/domain-xml.js";
import { reachVolume } from "../volume/volumes.js";
import type { World } from "./verb.js";

export async function volumeRefusals(
  { domainXml, volumes }: SourceManifest,
  world: World,
  signal: AbortSignal,
): Promise<FaultInfo[]> {
  const { disks } = readDomain(domainXml);
  const found: FaultInfo[] = [];
  for (const { targetDev, uri, sizeBytes } of volumes) {
    const disk = disks.find(candidate => candidate.targetDev === targetDev);
    found.push(...(await refusalsOf(disk, { targetDev, uri, sizeBytes }, world, signal)));
  }
  return found;
}

interface Expected {
  readonly targetDev: string;
  readonly uri: string;
  readonly sizeBytes: number;
}

async function refusalsOf(
  disk: DomainDisk | undefined,
  { targetDev, uri, sizeBytes }: Expected,
  world: World,
  signal: AbortSignal,
): Promise<FaultInfo[]> {
  if (disk === undefined) return [refusal("invalid-argument", `the domain has no disk ${targetDev}`)];
  try {
    const here = await reachVolume(disk, world, signal);
    if (here.uri === uri && here.sizeBytes === sizeBytes) return [];
    return [
      refusal("refused", `volume ${targetDev} is another one on the target`, {
        have: `${here.uri} of ${here.sizeBytes} bytes`,
        need: `${uri} of ${sizeBytes} bytes`,
        fix: "see what its server's name means on both hosts",
      }),
    ];
  } catch (thrown) {
    const fault = asFault(thrown);
    if (signal.aborted || fault.code === "internal") throw fault;
    return [
      refusal("refused", `the target does not reach volume ${targetDev}: ${fault.message}`, {
        have: fault.isUnknown ? "no answer, perhaps because its server takes one client only" : "an error",
        need: uri,
        fix: "let the server of the volume answer the target's host while the guest runs, and install what QEMU needs for it (qemu-block-extra)",
      }),
    ];
  }
}
