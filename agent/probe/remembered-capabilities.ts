/**
 * libvirt's capabilities, asked once and remembered.
 *
 * libvirt keeps them too, but where KVM is announced and then cannot be used it starts QEMU anew for each question,
 * which takes seconds for a description. An answer holds while the daemon that gave it is connected, and at most
 * for `ageLimitMs`, so that an upgraded QEMU is noticed. A failure is not remembered. Pools and networks change
 * and are asked each time.
 */

import type { Hypervisor } from "../os/hypervisor.js";
import type { HypervisorFacts } from "./hypervisor.js";

export interface RememberOptions {
  readonly ageLimitMs: number;
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: () => number;
}

interface Answer {
  readonly askedMs: number;
  readonly xml: Promise<string>;
}

export function rememberCapabilities(
  hypervisor: HypervisorFacts & Pick<Hypervisor, "onConnection">,
  { ageLimitMs, nowMs }: RememberOptions,
): HypervisorFacts {
  const answers = new Map<string, Answer>();
  hypervisor.onConnection(() => answers.clear());

  const remembered = (question: string, ask: () => Promise<string>): Promise<string> => {
    const known = answers.get(question);
    if (known && nowMs() - known.askedMs < ageLimitMs) return known.xml;
    const answer: Answer = { askedMs: nowMs(), xml: ask() };
    answers.set(question, answer);
    // The asker hears of the failure; here it is only forgotten, unless somebody has asked again since.
    answer.xml.catch(() => answers.get(question) === answer && answers.delete(question));
    return answer.xml;
  };

  return {
    versions: () => hypervisor.versions(),
    storagePools: () => hypervisor.storagePools(),
    networks: () => hypervisor.networks(),
    capabilities: () => remembered("capabilities", () => hypervisor.capabilities()),
    domainCapabilities: query =>
      remembered(JSON.stringify(query), () => hypervisor.domainCapabilities(query)),
  };
}
