/**
 * What a target must know of the source to judge, and the definition does not say: the node, its software, the CPU that
 * the guest sees and the firmware that its NVRAM belongs to.
 */

import type { SourceFacts } from "../../proto/gen/ferry/v1/agent.js";
import type { GuestFirmware } from "../../proto/gen/ferry/v1/host.js";
import { chooseFirmware } from "../constraint/choose-firmware.js";
import type { TargetHost } from "../constraint/target-facts.js";
import { type Domain, readDomain } from "../domain/domain-xml.js";
import { comparableCpu, comparableCpuXml, cpuModeOf } from "../domain/guest-cpu.js";
import { guestNeeds } from "../domain/guest-needs.js";
import type { DomainCapabilitiesQuery } from "../os/hypervisor.js";
import { domainCapabilitiesIn } from "../probe/domain-capabilities.js";
import { answered } from "../probe/hypervisor.js";
import type { Report } from "../probe/tree.js";
import type { Survey } from "../survey-domain.js";
import { readHostFacts } from "./host-facts.js";
import type { World } from "./verb.js";

export async function sourceFacts(
  { domain, liveXml, assignedDevices }: Survey,
  world: World,
): Promise<SourceFacts> {
  const problems = new Set<string>();
  const report: Report = problem => problems.add(problem);
  const live = liveXml === undefined ? undefined : readDomain(liveXml);
  const loaderPath = (live ?? domain).firmware.loaderPath;
  const host = await readHostFacts({ loaderPath, withTpm: domain.tpmBackend === "emulator" }, report, world);
  const query = queryOf(domain);
  const guestCpuXml = await guestCpu(domain, live, query, report, world);
  const firmware = firmwareOf(domain, loaderPath, host);
  const codePath = loaderPath ?? firmware?.loaderPath;
  return {
    architecture: host.architecture,
    cpu: { ...host.cpu, topology: [] },
    libvirtVersion: host.versions?.libvirt,
    qemuVersion: host.versions?.qemu,
    guestCpuXml,
    guestCpuComparison:
      guestCpuXml === undefined
        ? undefined
        : await answered("comparison of the CPU", report, () =>
            world.hypervisor.compareHypervisorCpu(query, guestCpuXml),
          ),
    firmware,
    loaderBytes: codePath === undefined ? undefined : host.firmwareBytes.get(codePath),
    swtpmVersion: host.swtpm?.version,
    problems: [...problems].sort(),
    assignedDevices: [...assignedDevices],
    cpuSharedSet: world.config.cpu_shared_set,
    cell: world.config.cell,
  };
}

/** As libvirt must be asked about exactly this machine; what the domain does not name stays open. */
function queryOf({ emulator, arch, machine, virttype }: Domain): DomainCapabilitiesQuery {
  return {
    virttype,
    ...(emulator === undefined ? {} : { emulator }),
    ...(arch === undefined ? {} : { arch }),
    ...(machine === undefined ? {} : { machine }),
  };
}

/**
 * The running guest's expanded CPU, else the definition's, else what host-model would be: which is also all that a guest
 * without a model of its own can have.
 */
async function guestCpu(
  domain: Domain,
  live: Domain | undefined,
  query: DomainCapabilitiesQuery,
  report: Report,
  world: World,
): Promise<string | undefined> {
  const mode = cpuModeOf(domain.cpu);
  if (mode === "host-passthrough" || (mode === "maximum" && domain.virttype !== "qemu")) return undefined;
  const own = comparableCpu(live?.cpu) ?? (mode === "custom" ? comparableCpu(domain.cpu) : undefined);
  if (own !== undefined) return own;
  const hostModel = await answered("host-model", report, async () => {
    const { cpu } = domainCapabilitiesIn(await world.capabilities.domainCapabilities(query));
    return cpu?.hostModelXml;
  });
  return hostModel === undefined ? undefined : comparableCpuXml(hostModel);
}

/** Of an automatic choice only: a firmware that is named needs no guess. */
function firmwareOf(
  domain: Domain,
  loaderPath: string | undefined,
  { firmware }: TargetHost,
): GuestFirmware | undefined {
  if (domain.firmware.automatic !== "efi") return undefined;
  if (loaderPath !== undefined) return firmware.find(one => one.loaderPath === loaderPath);
  const { arch = "", machine = "" } = domain;
  return chooseFirmware(firmware, { arch, machine, need: guestNeeds(domain).firmware });
}
