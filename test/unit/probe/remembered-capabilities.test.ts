import { beforeEach, describe, expect, it } from "vitest";
import type { HypervisorFacts } from "../../../agent/probe/hypervisor.js";
import { rememberCapabilities } from "../../../agent/probe/remembered-capabilities.js";
import { Fault } from "../../../proto/fault.js";
import { recordedLibvirt } from "./recorded-libvirt.js";

const q35 = { virttype: "qemu", machine: "q35" };

/** Recorded libvirt that counts its questions, can fail, and can lose its connection. */
function countingLibvirt() {
  const asked: string[] = [];
  const listeners: ((state: "lost" | "restored") => void)[] = [];
  let isDown = false;
  const note = (question: string) => {
    asked.push(question);
    if (isDown) throw new Fault("unreachable", "the daemon does not answer");
  };
  const hypervisor = {
    ...recordedLibvirt,
    capabilities: async () => {
      note("capabilities");
      return recordedLibvirt.capabilities();
    },
    versions: async () => {
      note("versions");
      return recordedLibvirt.versions();
    },
    domainCapabilities: async (query: typeof q35) => {
      note(`${query.virttype} ${query.machine}`);
      return recordedLibvirt.domainCapabilities(query);
    },
    networks: async () => {
      note("networks");
      return [];
    },
    onConnection: (listener: (state: "lost" | "restored") => void) => {
      listeners.push(listener);
      return () => {};
    },
  };
  return {
    hypervisor: hypervisor as HypervisorFacts & Pick<typeof hypervisor, "onConnection">,
    asked,
    lose: () => {
      for (const listener of listeners) listener("lost");
    },
    setDown: (down: boolean) => {
      isDown = down;
    },
  };
}

describe("remembered capabilities", () => {
  let libvirt: ReturnType<typeof countingLibvirt>;
  let remembered: HypervisorFacts;
  let nowMs: number;

  beforeEach(() => {
    libvirt = countingLibvirt();
    nowMs = 1_000;
    remembered = rememberCapabilities(libvirt.hypervisor, { ageLimitMs: 500, nowMs: () => nowMs });
  });

  it("are asked once for each question, also by several at once", async () => {
    await Promise.all([remembered.domainCapabilities(q35), remembered.domainCapabilities(q35)]);
    await remembered.domainCapabilities({ ...q35, machine: "pc" });
    await remembered.domainCapabilities(q35);
    await remembered.capabilities();
    expect(await remembered.capabilities()).toBe(await recordedLibvirt.capabilities());
    await remembered.versions();
    expect(await remembered.versions()).toEqual(await recordedLibvirt.versions());
    expect(libvirt.asked).toEqual(["qemu q35", "qemu pc", "capabilities", "versions"]);
  });

  it("are asked again when they are old, and when the daemon was away", async () => {
    await remembered.capabilities();
    nowMs += 499;
    await remembered.capabilities();
    expect(libvirt.asked).toHaveLength(1);
    nowMs += 1;
    await remembered.capabilities();
    expect(libvirt.asked).toHaveLength(2);
    libvirt.lose();
    await remembered.capabilities();
    expect(libvirt.asked).toHaveLength(3);
  });

  it("do not keep a failure", async () => {
    libvirt.setDown(true);
    await expect(remembered.capabilities()).rejects.toThrow("does not answer");
    libvirt.setDown(false);
    expect(await remembered.capabilities()).toContain("<capabilities>");
  });

  it("do not cover what changes from hour to hour", async () => {
    await remembered.networks();
    await remembered.networks();
    expect(libvirt.asked).toEqual(["networks", "networks"]);
  });
});
