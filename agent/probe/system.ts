/**
 * Board, operating system and block devices, for people to read.
 *
 * systeminformation spawns programs and takes tens of milliseconds, so it is asked once, when the agent starts.
 * Where it does not know it invents (a model "Docker Container", a size 0, a serial "-"): such values are
 * taken for what they are, unknown.
 */

import systeminformation from "systeminformation";
import type { BlockDevice, SystemDescription } from "../../proto/gen/ferry/v1/host.js";

export interface SystemReading {
  readonly system: SystemDescription | undefined;
  readonly problems: readonly string[];
}

/** The part of systeminformation that is used here. */
export type SystemSource = Pick<
  typeof systeminformation,
  "system" | "baseboard" | "bios" | "osInfo" | "blockDevices"
>;

/** A reader that asks on its first call and answers the same ever after. */
export function readSystemOnce(source: SystemSource = systeminformation): () => Promise<SystemReading> {
  let reading: Promise<SystemReading> | undefined;
  return () => {
    reading ??= readSystem(source);
    return reading;
  };
}

async function readSystem(source: SystemSource): Promise<SystemReading> {
  const problems: string[] = [];
  const ask = async <T>(question: string, answer: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await answer();
    } catch (error) {
      problems.push(
        `systeminformation ${question}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    }
  };
  // One after the other: each spawns several programs.
  const machine = await ask("system", () => source.system());
  const board = await ask("baseboard", () => source.baseboard());
  const bios = await ask("bios", () => source.bios());
  const os = await ask("osInfo", () => source.osInfo());
  const devices = await ask("blockDevices", () => source.blockDevices());
  return {
    problems,
    system: {
      manufacturer: genuine(machine?.manufacturer),
      product: genuine(machine?.model),
      serial: genuine(machine?.serial),
      boardManufacturer: genuine(board?.manufacturer),
      boardModel: genuine(board?.model),
      biosVendor: genuine(bios?.vendor),
      biosVersion: genuine(bios?.version),
      biosDate: genuine(bios?.releaseDate),
      osName: genuine(os?.distro),
      osRelease: genuine(os?.release),
      osCodename: genuine(os?.codename),
      blockDevices: (devices ?? []).map(describeBlockDevice).filter(device => device !== undefined),
    },
  };
}

type RawBlockDevice = Partial<Awaited<ReturnType<SystemSource["blockDevices"]>>[number]>;

function describeBlockDevice(raw: RawBlockDevice): BlockDevice | undefined {
  const name = genuine(raw.name);
  if (name === undefined) return undefined;
  return {
    name,
    kind: genuine(raw.type),
    sizeBytes: typeof raw.size === "number" && raw.size > 0 ? raw.size : undefined,
    model: genuine(raw.model),
    serial: genuine(raw.serial),
    transport: genuine(raw.protocol),
    fileSystem: genuine(raw.fsType),
    mountPoint: genuine(raw.mount),
  };
}

/** What firmware vendors leave unfilled, and what the library makes up. Compared in lower case. */
const PLACEHOLDERS = new Set([
  "-",
  "0",
  "none",
  "unknown",
  "default string",
  "not specified",
  "not available",
  "not applicable",
  "n/a",
  "to be filled by o.e.m.",
  "system manufacturer",
  "system product name",
  "system serial number",
  "docker container",
]);

function genuine(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text === "" || PLACEHOLDERS.has(text.toLowerCase()) ? undefined : text;
}
