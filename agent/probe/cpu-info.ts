/**
 * What /proc/cpuinfo says of the processors: identity of the first, and the flags that all of them have.
 *
 * A guest may run on any processor of the host, so a flag that one of them lacks is no flag of the host.
 */

import { parseCount } from "./number-text.js";

export interface CpuInfo {
  readonly processors: number;
  readonly vendor: string | undefined;
  readonly modelName: string | undefined;
  readonly family: number | undefined;
  readonly model: number | undefined;
  readonly stepping: number | undefined;
  readonly microcode: string | undefined;
  /** Sorted. */
  readonly flags: readonly string[];
  /** Flags that some processors have and others lack, sorted. */
  readonly unevenFlags: readonly string[];
}

/** Undefined when the text describes no processor. */
export function parseCpuInfo(text: string): CpuInfo | undefined {
  const processors = text
    .split(/\n\s*\n/)
    .map(fieldsOf)
    .filter(fields => fields.has("processor"));
  const first = processors[0];
  if (!first) return undefined;
  const { common, uneven } = compareFlags(processors.map(flagsOf));
  return {
    processors: processors.length,
    vendor: first.get("vendor_id"),
    modelName: first.get("model name"),
    family: countOf(first, "cpu family"),
    model: countOf(first, "model"),
    stepping: countOf(first, "stepping"),
    microcode: first.get("microcode"),
    flags: common,
    unevenFlags: uneven,
  };
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const value = colon > 0 ? line.slice(colon + 1).trim() : "";
    if (value !== "") fields.set(line.slice(0, colon).trim(), value);
  }
  return fields;
}

function countOf(fields: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = fields.get(name);
  return text === undefined ? undefined : parseCount(text);
}

/** x86 says `flags`, Arm says `Features`. */
function flagsOf(fields: ReadonlyMap<string, string>): Set<string> {
  const text = fields.get("flags") ?? fields.get("Features");
  return new Set(text?.split(/\s+/));
}

function compareFlags(all: readonly ReadonlySet<string>[]): { common: string[]; uneven: string[] } {
  const union = [...new Set(all.flatMap(flags => [...flags]))].sort();
  const isCommon = (flag: string) => all.every(flags => flags.has(flag));
  return { common: union.filter(isCommon), uneven: union.filter(flag => !isCommon(flag)) };
}
