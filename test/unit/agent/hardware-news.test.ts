/** What the agent tells the controller of its hardware, and when. */

import { beforeEach, describe, expect, it } from "vitest";
import { HardwareNews } from "../../../agent/hardware-news.js";
import { hostHardware } from "../../../agent/host-hardware.js";
import { FreeHardware, HostDescription, HostHardware } from "../../../proto/gen/ferry/v1/host.js";

let cpuModel = "old";
let news: HardwareNews;
beforeEach(() => {
  cpuModel = "old";
  news = new HardwareNews(async () => HostHardware.fromPartial({ cpuModel }));
});

const beats = async (count: number, isWanted = false) => {
  const told: (string | undefined)[] = [];
  for (let beat = 0; beat < count; beat += 1) {
    told.push((await news.next())?.cpuModel);
    news.delivered(isWanted);
  }
  return told.filter(model => model !== undefined);
};

describe("hardware", () => {
  it("is told once, and again when it has changed", async () => {
    expect(await beats(20)).toEqual(["old"]);
    cpuModel = "new";
    expect(await beats(6)).toEqual(["new"]);
  });

  it("is told with every beat until the controller has it", async () => {
    expect(await beats(3, true)).toEqual(["old", "old", "old"]);
    expect(await beats(12)).toEqual(["old"]);
  });

  it("that a beat did not deliver is told by the next one", async () => {
    await news.next();
    expect((await news.next())?.cpuModel).toBe("old");
  });

  it("that cannot be read costs no heartbeat", async () => {
    news = new HardwareNews(() => Promise.reject(new Error("libvirt is away")));
    expect(await beats(3)).toEqual([]);
  });

  it("is what the description says, by Nova's words, with what is free", () => {
    const description = HostDescription.fromPartial({
      architecture: "x86_64",
      cpu: { vendor: "AuthenticAMD", flags: ["avx2"], sockets: 2, cores: 16, threads: 32 },
      hypervisor: {
        qemuVersion: 7_002_000,
        guests: [{ architecture: "x86_64", osType: "hvm", domainTypes: ["qemu", "kvm"] }],
      },
    });
    const free = FreeHardware.fromPartial({ sharedCpus: [0, 1] });
    expect(hostHardware(description, free)).toMatchObject({
      cpuVendor: "AuthenticAMD",
      coresPerSocket: 8,
      threadsPerCore: 2,
      guests: [
        { architecture: "x86_64", hypervisorType: "qemu", vmMode: "hvm" },
        { architecture: "x86_64", hypervisorType: "kvm", vmMode: "hvm" },
      ],
      free,
    });
  });
});
