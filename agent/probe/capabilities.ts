/** libvirt's capabilities document: the host as libvirt sees it, and the emulators with their machine types. */

import type { GuestSupport, HypervisorDescription, MachineType } from "../../proto/gen/ferry/v1/host.js";
import { rememberedByText } from "../remembered-by-text.js";
import {
  all,
  attribute,
  type Element,
  first,
  parseRoot,
  serialize,
  text,
  textAt,
  texts,
} from "./elements.js";
import { parseCount } from "./number-text.js";

export type Capabilities = Pick<
  HypervisorDescription,
  "hostUuid" | "hostCpuXml" | "securityModels" | "guests"
> & {
  readonly architecture: string | undefined;
};

/** The same texts are asked about over and over. */
const MOST_TEXTS = 4;

/** For whoever only reads. */
export const capabilitiesIn = rememberedByText(MOST_TEXTS, xml => parseCapabilities(xml));

/** Throws a fault when the text is not such a document. */
export function parseCapabilities(xml: string): Capabilities {
  const root = parseRoot(xml, "capabilities");
  const cpu = first(root, "host", "cpu");
  return {
    hostUuid: textAt(root, "host", "uuid"),
    architecture: textAt(root, "host", "cpu", "arch"),
    hostCpuXml: cpu && serialize(cpu),
    securityModels: texts(all(root, "host", "secmodel", "model")),
    guests: all(root, "guest").flatMap(guest =>
      all(guest, "arch").flatMap(arch => describeGuest(textAt(guest, "os_type") ?? "", arch)),
    ),
  };
}

/** A domain type may name an emulator and machines of its own; it is then a row of its own. */
function describeGuest(osType: string, arch: Element): GuestSupport[] {
  const architecture = attribute(arch, "name") ?? "";
  const emulator = textAt(arch, "emulator") ?? "";
  const domains = all(arch, "domain");
  const ownEmulator = domains.filter(domain => textAt(domain, "emulator") !== undefined);
  const typesOf = (elements: readonly Element[]) =>
    elements.flatMap(domain => attribute(domain, "type") ?? []);
  const shared: GuestSupport = {
    architecture,
    osType,
    emulator,
    domainTypes: typesOf(domains.filter(domain => !ownEmulator.includes(domain))),
    machines: all(arch, "machine").map(describeMachine),
  };
  const separate = ownEmulator.map(domain => ({
    ...shared,
    emulator: textAt(domain, "emulator") ?? emulator,
    domainTypes: typesOf([domain]),
    machines: all(domain, "machine").map(describeMachine),
  }));
  return [shared, ...separate];
}

function describeMachine(machine: Element): MachineType {
  return {
    name: text(machine),
    canonicalName: attribute(machine, "canonical"),
    vcpusMax: parseCount(attribute(machine, "maxCpus") ?? ""),
    deprecated: attribute(machine, "deprecated") === "yes",
  };
}
