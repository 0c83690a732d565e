/**
 * libvirt's versions and capabilities, asked once and remembered.
 *
 * libvirt keeps them too, but where KVM is announced and then cannot be used it starts QEMU anew for each question,
 * which takes seconds for a description. An answer holds while the daemon that gave it is connected, and at most
 * for `ageLimitMs`, so that an upgraded QEMU is noticed. A failure is not remembered. Pools and networks change
 * and are asked each time.
 */

import type { DomainCapabilitiesQuery, Hypervisor, Versions } from "../os/hypervisor.js";
import type { HypervisorFacts } from "./hypervisor.js";

export interface RememberOptions {
  readonly ageLimitMs: number;
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: () => number;
}

interface Answer<T> {
  readonly askedMs: number;
  readonly value: Promise<T>;
}

export function rememberCapabilities(
  hypervisor: HypervisorFacts & Pick<Hypervisor, "onConnection">,
  { ageLimitMs, nowMs }: RememberOptions,
): HypervisorFacts {
  const remembered = <Question, T>(ask: (question: Question) => Promise<T>) => {
    const answers = new Map<string, Answer<T>>();
    hypervisor.onConnection(() => answers.clear());
    return (question: Question): Promise<T> => {
      const key = JSON.stringify([question]);
      const known = answers.get(key);
      if (known && nowMs() - known.askedMs < ageLimitMs) return known.value;
      const answer: Answer<T> = { askedMs: nowMs(), value: ask(question) };
      answers.set(key, answer);
      // The asker hears of the failure; here it is only forgotten, unless somebody has asked again since.
      answer.value.catch(() => answers.get(key) === answer && answers.delete(key));
      return answer.value;
    };
  };

  return {
    versions: remembered<void, Versions>(() => hypervisor.versions()),
    capabilities: remembered<void, string>(() => hypervisor.capabilities()),
    domainCapabilities: remembered((query: DomainCapabilitiesQuery) => hypervisor.domainCapabilities(query)),
    storagePools: () => hypervisor.storagePools(),
    networks: () => hypervisor.networks(),
  };
}
