/**
 * The host's processors: identity from /proc/cpuinfo, topology from /sys/devices/system/cpu.
 *
 * Counts are of online CPUs, and absent when any online CPU's place is unknown: a count that missed some would
 * look like a smaller host.
 */

import type { CpuThread, HostCpu } from "../../proto/gen/ferry/v1/host.js";
import { formatRangeList, parseRangeList } from "../../proto/range-list.js";
import { parseCpuInfo } from "./cpu-info.js";
import { parseKnownCount } from "./number-text.js";
import type { Trees } from "./roots.js";
import type { Tree } from "./tree.js";

const CPUS = "devices/system/cpu";

export async function readCpu({ sys, proc }: Pick<Trees, "sys" | "proc">): Promise<HostCpu> {
  const [info, online, present, possible] = await Promise.all([
    readCpuInfo(proc),
    sys.value(`${CPUS}/online`, parseRangeList),
    sys.value(`${CPUS}/present`, parseRangeList),
    sys.value(`${CPUS}/possible`, parseRangeList),
  ]);
  const topology = await Promise.all((online ?? []).map(id => readThread(sys, id)));
  return {
    vendor: info?.vendor,
    modelName: info?.modelName,
    family: info?.family,
    model: info?.model,
    stepping: info?.stepping,
    microcode: info?.microcode,
    flags: [...(info?.flags ?? [])],
    onlineCpus: online ?? [],
    offlineCpus: online ? without(present, online) : [],
    absentCpus: present ? without(possible, present) : [],
    sockets: countDistinct(topology.map(thread => thread.socketId)),
    cores: countDistinct(topology.map(coreKey)),
    threads: online?.length,
    topology,
  };
}

async function readCpuInfo(proc: Tree) {
  const info = await proc.value("cpuinfo", parseCpuInfo);
  if (info && info.unevenFlags.length > 0) {
    proc.complain(
      "cpuinfo",
      `not every processor has ${info.unevenFlags.join(" ")}: not counted as the host's`,
    );
  }
  return info;
}

async function readThread(sys: Tree, id: number): Promise<CpuThread> {
  const topology = `${CPUS}/cpu${id}/topology`;
  const [socketId, dieId, coreId, siblings] = await Promise.all([
    sys.value(`${topology}/physical_package_id`, parseKnownCount),
    sys.optionalValue(`${topology}/die_id`, parseKnownCount),
    sys.value(`${topology}/core_id`, parseKnownCount),
    sys.value(`${topology}/thread_siblings_list`, parseRangeList),
  ]);
  return {
    id,
    socketId: known(socketId),
    dieId: known(dieId),
    coreId: known(coreId),
    siblings: siblings ?? [],
  };
}

const known = (count: number | "unknown" | undefined) => (count === "unknown" ? undefined : count);

const without = (all: readonly number[] | undefined, gone: readonly number[]) =>
  (all ?? []).filter(id => !gone.includes(id));

/** Cores are told apart by their siblings: core ids repeat from socket to socket. */
const coreKey = ({ siblings }: CpuThread) => (siblings.length > 0 ? formatRangeList(siblings) : undefined);

function countDistinct(keys: readonly (number | string | undefined)[]): number | undefined {
  return keys.length === 0 || keys.includes(undefined) ? undefined : new Set(keys).size;
}
