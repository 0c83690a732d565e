/** libvirt's domain capabilities document: what a domain of one emulator, type and machine can have. */

import type { DomainSupport, HypervisorCpu } from "../../proto/gen/ferry/v1/host.js";
import { rememberedByText } from "../remembered-by-text.js";
import { all, attribute, type Element, first, parseRoot, serialize, textAt, texts } from "./elements.js";
import { parseCount } from "./number-text.js";

const MOST_TEXTS = 16;

/** For whoever only reads. */
export const domainCapabilitiesIn = rememberedByText(MOST_TEXTS, xml => parseDomainCapabilities(xml));

/** Throws a fault when the text is not such a document. */
export function parseDomainCapabilities(xml: string): DomainSupport {
  const root = parseRoot(xml, "domainCapabilities");
  const os = first(root, "os");
  const tpm = supported(first(root, "devices", "tpm"));
  return {
    architecture: textAt(root, "arch") ?? "",
    emulator: textAt(root, "path") ?? "",
    domainType: textAt(root, "domain") ?? "",
    machine: textAt(root, "machine") ?? "",
    vcpusMax: parseCount(attribute(first(root, "vcpu"), "max") ?? ""),
    firmwareSelections: values(os, "firmware"),
    loaderPaths: texts(os ? all(os, "loader", "value") : []),
    cpu: describeCpu(first(root, "cpu")),
    tpmModels: values(tpm, "model"),
    tpmBackends: values(tpm, "backendModel"),
    tpmVersions: values(tpm, "backendVersion"),
    diskBuses: values(supported(first(root, "devices", "disk")), "bus"),
    launchSecurities: supported(first(root, "features", "sev")) ? ["sev"] : [],
    memorySources: values(supported(first(root, "memoryBacking")), "sourceType"),
  };
}

/** Values of `<enum name='…'>`. */
function values(parent: Element | undefined, name: string): string[] {
  const enums = parent ? all(parent, "enum").filter(element => attribute(element, "name") === name) : [];
  return texts(enums.flatMap(element => all(element, "value")));
}

function supported(element: Element | undefined): Element | undefined {
  return attribute(element, "supported") === "yes" ? element : undefined;
}

function describeCpu(cpu: Element | undefined): HypervisorCpu | undefined {
  if (!cpu) return undefined;
  const mode = (name: string) =>
    supported(all(cpu, "mode").find(element => attribute(element, "name") === name));
  const passthrough = mode("host-passthrough");
  const hostModel = mode("host-model");
  const custom = mode("custom");
  const models = custom ? all(custom, "model") : [];
  return {
    hostPassthrough: passthrough !== undefined,
    hostPassthroughMigratable: values(passthrough, "hostPassthroughMigratable").includes("on"),
    hostModelXml: hostModel && writeCpu(hostModel),
    usableModels: texts(models.filter(model => attribute(model, "usable") === "yes")),
  };
}

/** `<mode name='host-model'>` holds a CPU's content under another name. */
function writeCpu(hostModel: Element): string {
  const content = [...hostModel.children].map(serialize).join("");
  return `<cpu mode="custom" match="exact">${content}</cpu>`;
}
