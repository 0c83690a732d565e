/**
 * The volumes of a domain: which Ferry can leave where they are, how they are called, and whether this host reaches one now.
 *
 * A volume is reached by QEMU's own block layer, read-only and with driver and address given (SAFETY R19), which is how its
 * guest will reach it. Whoever does not answer in time is unknown.
 */

import { Fault } from "../../proto/fault.js";
import type { DomainDisk, NetworkSource } from "../domain/domain-disk.js";
import type { RunTool } from "../os/tool.js";
import { iscsi } from "./iscsi.js";
import { nbd } from "./nbd.js";
import type { VolumeDriver, VolumeServer } from "./volume-driver.js";

const DRIVERS: readonly VolumeDriver[] = [nbd, iscsi];
const LIMIT_MS = 15_000;

export interface Volume {
  /** `nbd://store:10809/web-3`, for people and for comparison. */
  readonly uri: string;
  readonly sizeBytes: number;
}

/** Words that complete "the volume …"; undefined for one that any host can reach alike. */
export function whyBound({ network, format, encrypted }: DomainDisk): string | undefined {
  if (network === undefined) return "is not reached over a network";
  const driver = driverOf(network);
  if (driver === undefined) {
    const known = DRIVERS.map(({ protocol }) => protocol).join(" and ");
    return `is of protocol ${network.protocol}, and this version moves ${known}`;
  }
  if (format !== "raw") return `holds an image of format ${format ?? "unknown"}: only raw volumes are moved`;
  if (encrypted || network.hasSecret) return "needs a secret of libvirt, which stays on its host";
  if (network.usesTls) return "is reached with certificates of its host";
  const { hosts } = network;
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) return `names ${hosts.length} servers instead of one`;
  if (host.transport !== "tcp") return `is reached by ${host.transport}, which ends at its host`;
  if (LOOPBACK.test(host.name))
    return `is served by ${host.name || "no host"}, which every host takes for itself`;
  return driver.whyBound?.(network);
}

const LOOPBACK = /^(|127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost|localhost\..*|0\.0\.0\.0|::)$/;

const driverOf = ({ protocol }: NetworkSource): VolumeDriver | undefined =>
  DRIVERS.find(driver => driver.protocol === protocol);

/** Its size, read from it now; a Fault says why this host does not reach it. */
export async function reachVolume(
  disk: DomainDisk,
  { runTool }: { readonly runTool: RunTool },
  signal?: AbortSignal,
): Promise<Volume> {
  const bound = whyBound(disk);
  const driver = disk.network && driverOf(disk.network);
  if (bound !== undefined || disk.network === undefined || driver === undefined)
    throw new Fault("refused", `the volume ${disk.targetDev} ${bound ?? "is of no known kind"}`);
  const server = serverOf(disk.network, driver);
  const node = { driver: "raw", file: driver.blockNode(disk.network.name, server) };
  const argv = ["qemu-img", "info", "--output=json", `json:${JSON.stringify(node)}`] as const;
  const uri = uriOf(disk.network, server);
  const limits = { timeoutMs: LIMIT_MS, ...(signal === undefined ? {} : { signal }) };
  try {
    return { uri, sizeBytes: sizeIn(await runTool(argv, limits)) };
  } catch (error) {
    throw error instanceof Fault ? error.during(`reach ${uri}`) : error;
  }
}

function serverOf({ hosts }: NetworkSource, { defaultPort }: VolumeDriver): VolumeServer {
  const [host] = hosts;
  return { host: host?.name ?? "", port: host?.port ?? defaultPort };
}

const uriOf = ({ protocol, name }: NetworkSource, { host, port }: VolumeServer): string =>
  `${protocol}://${host.includes(":") ? `[${host}]` : host}:${port}/${name}`;

function sizeIn(text: string): number {
  const size: unknown = (JSON.parse(text) as Record<string, unknown>)["virtual-size"];
  if (typeof size === "number" && Number.isSafeInteger(size) && size > 0) return size;
  throw new Fault("failed", "qemu-img does not say how large it is");
}
