/** The facts of this host that both sides of a check need, read from the kernel, libvirt and swtpm now. */

import { stat } from "node:fs/promises";
import { z } from "zod";
import { Fault } from "../../proto/fault.js";
import type { GuestFirmware } from "../../proto/gen/ferry/v1/host.js";
import type { Swtpm, TargetHost } from "../constraint/target-facts.js";
import { type Capabilities, capabilitiesIn } from "../probe/capabilities.js";
import { readCpu } from "../probe/cpu.js";
import { readFirmware } from "../probe/firmware.js";
import { answered } from "../probe/hypervisor.js";
import { readIdentity } from "../probe/identity.js";
import { readMemory } from "../probe/memory.js";
import { parseMounts } from "../probe/mounts.js";
import { readNumaCells } from "../probe/numa.js";
import { openTrees } from "../probe/roots.js";
import type { Report } from "../probe/tree.js";
import type { World } from "./verb.js";

interface HostQuestions {
  /** Firmware that the domain names itself. */
  readonly loaderPath: string | undefined;
  readonly withTpm: boolean;
}

export async function readHostFacts(
  { loaderPath, withTpm }: HostQuestions,
  report: Report,
  world: World,
): Promise<TargetHost> {
  const trees = openTrees(world.roots, report);
  const mounts = (await trees.proc.value("self/mountinfo", parseMounts)) ?? [];
  const [identity, cpu, memory, firmware, versions, capabilities, swtpm] = await Promise.all([
    readIdentity(trees),
    readCpu(trees),
    readMemory(trees, mounts),
    readFirmware(trees),
    answered("versions", report, () => world.capabilities.versions()),
    readCapabilities(report, world),
    withTpm ? readSwtpm(report, world) : undefined,
  ]);
  return {
    architecture: identity.architecture ?? capabilities?.architecture,
    cpu,
    memory,
    cells: await readNumaCells(trees.sys, cpu.topology),
    versions,
    securityModels: capabilities?.securityModels,
    firmware,
    firmwareBytes: await sizesOf(firmwarePaths(firmware, loaderPath), report),
    swtpm,
  };
}

const readCapabilities = (report: Report, { capabilities }: World): Promise<Capabilities | undefined> =>
  answered("capabilities", report, async () => capabilitiesIn(await capabilities.capabilities()));

const firmwarePaths = (firmware: readonly GuestFirmware[], loaderPath: string | undefined): string[] =>
  [loaderPath, ...firmware.flatMap(one => [one.loaderPath, one.nvramTemplatePath])].filter(
    path => path !== undefined,
  );

async function sizesOf(paths: readonly string[], report: Report): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const path of new Set(paths)) {
    try {
      sizes.set(path, (await stat(path)).size);
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error)) throw error;
      report(`${path}: ${error.code}`);
    }
  }
  return sizes;
}

const SWTPM_LIMIT_MS = 10_000;

const printed = z.object({ version: z.string().optional(), features: z.array(z.string()).default([]) });

async function readSwtpm(report: Report, world: World): Promise<Swtpm | undefined> {
  try {
    const text = await world.runTool(["swtpm", "socket", "--print-capabilities"], {
      timeoutMs: SWTPM_LIMIT_MS,
    });
    const { version, features } = printed.parse(JSON.parse(text));
    return { version, features };
  } catch (error) {
    if (!(error instanceof Fault || error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    report(`swtpm --print-capabilities: ${error.message}`);
    return undefined;
  }
}
