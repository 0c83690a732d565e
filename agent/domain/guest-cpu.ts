/**
 * A domain's `<cpu>` as libvirt can compare it with a host.
 *
 * Only model, vendor and features are kept: topology, cells and caches are no question to a host's CPU. An element
 * without a `<model>` has no answer: libvirt calls any host a superset of it, so it is never handed out.
 */

import {
  attributeOf,
  childOf,
  childrenOf,
  type Element,
  escapeXml,
  parseXml,
  textOf,
} from "./xml-document.js";

export type CpuMode = "default" | "custom" | "host-model" | "host-passthrough" | "maximum";

const MODES: readonly string[] = ["custom", "host-model", "host-passthrough", "maximum"];

/** `default`: the emulator's own model, because the definition names none. */
export function cpuModeOf(cpu: Element | undefined): CpuMode {
  const mode = attributeOf(cpu, "mode") ?? "custom";
  if (mode === "custom" || !MODES.includes(mode)) return modelOf(cpu) === undefined ? "default" : "custom";
  return mode as CpuMode;
}

export const comparableCpuXml = (xml: string): string | undefined => comparableCpu(parseXml(xml, "cpu"));

/** Undefined without a model. */
export function comparableCpu(cpu: Element | undefined): string | undefined {
  const model = modelOf(cpu);
  if (cpu === undefined || model === undefined) return undefined;
  const match = attributeOf(cpu, "match") ?? "exact";
  const vendor = textOf(childOf(cpu, "vendor"));
  const features = childrenOf(cpu, "feature").map(feature => {
    const name = escapeXml(attributeOf(feature, "name") ?? "");
    return `<feature policy="${escapeXml(attributeOf(feature, "policy") ?? "require")}" name="${name}"/>`;
  });
  const vendorXml = vendor === undefined ? "" : `<vendor>${escapeXml(vendor)}</vendor>`;
  const content = `<model>${escapeXml(model)}</model>${vendorXml}${features.join("")}`;
  return `<cpu mode="custom" match="${escapeXml(match)}">${content}</cpu>`;
}

const modelOf = (cpu: Element | undefined): string | undefined =>
  cpu === undefined ? undefined : textOf(childOf(cpu, "model"));
