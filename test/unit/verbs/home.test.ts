/** A server at home: adopted, stopped, deleted. */

import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { factsAt } from "../../../agent/disk/file-identity.js";
import { deleteDomain } from "../../../agent/verbs/delete-domain.js";
import { disownServer } from "../../../agent/verbs/disown-server.js";
import { stopDomain } from "../../../agent/verbs/stop-domain.js";
import { takeDomain } from "../../../agent/verbs/take-domain.js";
import type { StoppedGuest } from "../../../proto/gen/ferry/v1/agent.js";
import { Disk } from "../../../proto/gen/ferry/v1/model.js";
import { qcow2Image } from "../disk/qcow2-image.js";
import { Certificates } from "../proto/certificates.js";
import { Host, SERVER, SOURCE } from "./host.js";

let certificates: Certificates;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

let host: Host;
beforeEach(async () => {
  host = await Host.make("h1", certificates);
});
afterEach(() => host[Symbol.dispose]());

const home = () => host.call({ migrationId: "", epoch: 1 });

describe("stopping a guest", () => {
  beforeEach(() => host.settle());
  const stop = (change = {}) =>
    stopDomain({ timeoutMs: 60_000, gracefulOnly: false, ...change }, host.call(), host.world);
  const presses = () => host.hypervisor.calls.filter(call => call === "shutdown").length;

  it("presses until the guest obeys", async () => {
    host.hypervisor.onShutdown = domain => {
      if (presses() === 3) domain.state = "shut-off";
    };
    const { stopped } = await stop();
    expect(stopped).toEqual({ wasRunning: true, how: "shutdown", offAtMs: 3_200 });
  });

  it("destroys one that ignores ACPI, gracefully first, and says so", async () => {
    const { stopped } = await stop();
    expect([stopped?.how, presses(), stopped?.offAtMs]).toEqual(["destroyed-graceful", 9, 60_000]);
    expect(host.notes).toEqual([expect.stringMatching(/ignored ACPI shutdown for 60 s.*is lost/)]);
  });

  it("forces one that does not end gracefully either", async () => {
    host.hypervisor.endsGracefully = false;
    const { stopped } = await stop();
    expect(stopped?.how).toBe("destroyed-forced");
    expect(host.hypervisor.calls.slice(-2)).toEqual(["destroy gracefully", "destroy"]);
  });

  it("destroys nothing when it may not", async () => {
    await expect(stop({ gracefulOnly: true })).rejects.toThrow(/may not be destroyed/);
    expect(host.hypervisor.domains.get(SERVER)?.state).toBe("running");
  });

  it("knows when it is repeated that the guest ran before, and since when it is off", async () => {
    const first = await stop();
    host.nowMs += 5_000;
    expect((await stop()).stopped).toEqual(first.stopped);
  });

  it("remembers that the guest ran also when it could not be stopped", async () => {
    await expect(stop({ gracefulOnly: true })).rejects.toThrow();
    const known = host.world.documents.get<StoppedGuest>(SERVER, "m1", "stopped");
    expect(known).toMatchObject({ wasRunning: true });
  });
});

describe("adopting a domain", () => {
  const adopt = () =>
    takeDomain({ swapDisks: [], ephemeralDisks: [], readOnlyDrives: "" }, home(), host.world);

  it("is journalled and allowed before the domain is marked, so that it can always start", async () => {
    await host.settle({ xml: host.domainXml({ incarnation: "" }) });
    await host.world.fence.guestFiles.forget(SERVER);
    host.world.guests.update(SERVER, { role: "none", incarnation: "" });
    const seen: unknown[] = [];
    host.hypervisor.before = async call => {
      if (call === "set metadata") seen.push(host.guest?.role, await host.verdict());
    };
    await adopt();
    expect(seen).toEqual(["active", { kind: "allow", incarnation: SOURCE }]);
  });

  it("is refused without a proven hook, and has changed nothing", async () => {
    await host.settle({ xml: host.domainXml({ incarnation: "" }) });
    host.world.guests.update(SERVER, { role: "none" });
    host.hookProblem = "hook not loaded";
    await expect(adopt()).rejects.toThrow(/hook not loaded/);
    expect(host.guest?.role).toBe("none");
    expect(host.hypervisor.calls).not.toContain("set metadata");
  });
});

describe("deleting a server", () => {
  const remove = () => deleteDomain({}, home(), host.world);
  const made = async (path: string): Promise<void> => {
    const identity = await factsAt(host.world.files, host.at(path));
    const artifact = { serverId: SERVER, migrationId: "", path: host.at(path), kind: "created" } as const;
    host.world.artifacts.record({ ...artifact, identity });
  };
  const diskOn = (...backing: string[]) => {
    const layers = backing.map(path => ({ path: host.at(path), format: "qcow2", sizeBytes: 1 }));
    const disk = Disk.fromPartial({ targetDev: "vda", path: host.at("images/web-3/disk"), backing: layers });
    host.world.guests.update(SERVER, { disks: [disk] });
  };
  const overlay = (path: string, base: string) =>
    writeFileSync(host.at(path), qcow2Image({ backingFile: host.at(base), backingFormat: "qcow2" }));

  it("keeps the disks that Ferry did not make, and tells where they are", async () => {
    await host.settle();
    diskOn();
    await remove();
    expect(host.has("images/web-3/disk")).toBe(true);
    expect(host.notes).toEqual([expect.stringMatching(/kept, because Ferry did not make it: .*web-3\/disk/)]);
    expect([host.hypervisor.domains.size, host.guest?.role]).toEqual([0, "none"]);
  });

  it("removes the disks that Ferry made", async () => {
    await host.settle();
    diskOn();
    await made("images/web-3/disk");
    await remove();
    expect(host.has("images/web-3/disk")).toBe(false);
  });

  it("removes a base that nobody else lives on, and keeps one that somebody does", async () => {
    await host.settle();
    diskOn("images/base-a", "images/base-b");
    overlay("images/web-3/disk", "images/base-a");
    overlay("images/base-a", "images/base-b");
    overlay("images/web-4", "images/base-b");
    host.write("images/base-b", "raw");
    for (const path of ["images/web-3/disk", "images/base-a", "images/base-b"]) await made(path);
    await remove();
    const left = ["web-3/disk", "base-a", "base-b"].filter(path => host.has(`images/${path}`));
    expect(left).toEqual(["base-b"]);
    expect(host.notes).toContainEqual(expect.stringMatching(/kept: backing file .*base-b/));
  });

  it("is refused while a migration has the server", async () => {
    await host.settle();
    host.world.guests.update(SERVER, { role: "fenced", migrationId: "m1" });
    await expect(remove()).rejects.toThrow(/its migration must end first/);
  });

  it("leaves a domain alone that only has the uuid of a server which never came to be", async () => {
    await host.hypervisor.define(host.domainXml({ incarnation: "" }));
    host.world.guests.update(SERVER, { role: "none" });
    await expect(remove()).rejects.toThrow(/not Ferry's/);
    expect(host.hypervisor.domains.size).toBe(1);
  });
});

describe("a former copy of a server that lives elsewhere", () => {
  beforeEach(() => host.settle());
  const disown = (livesOn = "h2") =>
    disownServer({ home: livesOn }, host.call({ migrationId: "", epoch: 5 }), host.world);

  it("is denied, ended and not started by itself; nothing of it is removed", async () => {
    await disown();
    expect(await host.verdict()).toEqual({
      kind: "deny",
      reason: "this server lives on h2; what this host has of it is a former copy",
    });
    expect(host.hypervisor.domains.get(SERVER)).toMatchObject({ state: "shut-off", autostart: false });
    expect(host.has("images/web-3/disk")).toBe(true);
    expect(host.guest).toMatchObject({ role: "retired" });
    await disown("");
    expect(host.notes.filter(note => note.includes("was running"))).toHaveLength(1);
  });

  it("is denied before anything else is tried, and not called ended while a QEMU runs that libvirt has lost", async () => {
    const fence = { ...host.world.fence, findProcesses: async () => [42] };
    const call = host.call({ migrationId: "", epoch: 5 });
    await expect(disownServer({ home: "h2" }, call, { ...host.world, fence })).rejects.toThrow(/process 42/);
    expect(await host.verdict()).toMatchObject({ kind: "deny" });
  });
});
