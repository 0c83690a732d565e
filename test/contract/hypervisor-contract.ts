/**
 * What the agent relies on of a hypervisor, as tests that are run against real libvirt (its test driver, and a libvirtd with
 * real QEMU) and against the simulated one alike. Whoever changes the simulated libvirt is held to this.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DomainEvent, Hypervisor } from "../../agent/os/hypervisor.js";
import { Fault } from "../../proto/fault.js";

export interface Subject {
  readonly hypervisor: Hypervisor;
  /** Waits for a condition, as time passes there. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface ContractOptions {
  readonly open: () => Promise<Subject>;
  /** `<domain type=…>` and what else a definition needs there. */
  readonly domainXml: (name: string, uuid: string) => string;
  /** libvirt's test driver creates nothing paused, and is less exact about what makes no sense. */
  readonly isExact?: boolean;
}

const UUID = "11111111-2222-4333-8444-5555555555c1";
const OTHER = "11111111-2222-4333-8444-5555555555c2";

export function hypervisorContract(
  subjectName: string,
  { open, domainXml, isExact = true }: ContractOptions,
): void {
  describe(`the contract of a hypervisor, by ${subjectName}`, () => {
    let subject: Subject;
    let hypervisor: Hypervisor;
    const xml = domainXml("contract", UUID);
    const stateOf = async (uuid = UUID) => (await hypervisor.findDomain(uuid))?.state;

    beforeAll(async () => {
      subject = await open();
      hypervisor = subject.hypervisor;
    });
    afterAll(() => subject.close());
    afterEach(async () => {
      for (const uuid of [UUID, OTHER]) await remove(hypervisor, uuid);
    });

    it("knows nothing of a domain that nobody defined, and says so with what was attempted", async () => {
      expect(await hypervisor.findDomain(UUID)).toBeUndefined();
      expect(await hypervisor.findDomainByName("contract")).toBeUndefined();
      const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
        ["start", () => hypervisor.start(UUID, { paused: false })],
        ["undefine", () => hypervisor.undefine(UUID)],
        ["destroy", () => hypervisor.destroy(UUID, { graceful: false })],
        ["resume", () => hypervisor.resume(UUID)],
        ["shut down", () => hypervisor.shutdown(UUID)],
        ["set autostart=true of", () => hypervisor.setAutostart(UUID, true)],
        ["read the inactive XML of", () => hypervisor.domainXml(UUID, "inactive")],
      ];
      for (const [attempt, call] of calls) {
        const fault = await faultOf(call());
        expect([attempt, fault.code]).toEqual([attempt, "not-found"]);
        expect(fault.message.startsWith(`${attempt} ${UUID}: `)).toBe(true);
      }
    });

    it("stores a definition that defines the same domain again", async () => {
      const stored = await hypervisor.define(xml);
      expect(await hypervisor.domainXml(UUID, "inactive")).toBe(stored);
      expect(await hypervisor.define(stored)).toBe(stored);
      expect(await hypervisor.findDomain(UUID)).toMatchObject({
        uuid: UUID,
        name: "contract",
        state: "shut-off",
        persistent: true,
        autostart: false,
        hasManagedSave: false,
      });
      expect((await hypervisor.listDomains()).map(({ uuid }) => uuid)).toContain(UUID);
    });

    it("refuses what is no definition, and a name that is another domain's", async () => {
      expect((await faultOf(hypervisor.define("<domain"))).code).toBe("invalid-argument");
      await hypervisor.define(xml);
      expect((await faultOf(hypervisor.define(domainXml("contract", OTHER)))).code).toBe("already-exists");
      expect(await hypervisor.findDomain(OTHER)).toBeUndefined();
    });

    it("starts once and ends once; what makes no sense in a state is a conflict", async () => {
      await hypervisor.define(xml);
      expect((await faultOf(hypervisor.destroy(UUID, { graceful: false }))).code).toBe("conflict");
      if (isExact) expect((await faultOf(hypervisor.shutdown(UUID))).code).toBe("conflict");
      await hypervisor.start(UUID, { paused: false });
      expect(await stateOf()).toBe("running");
      if (isExact) expect((await faultOf(hypervisor.start(UUID, { paused: false }))).code).toBe("conflict");
      await hypervisor.destroy(UUID, { graceful: false });
      expect(await stateOf()).toBe("shut-off");
    });

    it.runIf(isExact)("creates paused, and runs when it is resumed", async () => {
      await hypervisor.define(xml);
      await hypervisor.start(UUID, { paused: true });
      expect(await stateOf()).toBe("paused");
      await hypervisor.resume(UUID);
      expect(await stateOf()).toBe("running");
    });

    it("lets a running domain live on that is undefined, until it ends", async () => {
      await hypervisor.define(xml);
      await hypervisor.start(UUID, { paused: false });
      await hypervisor.undefine(UUID);
      expect(await hypervisor.findDomain(UUID)).toMatchObject({ persistent: false, state: "running" });
      await hypervisor.destroy(UUID, { graceful: false });
      expect(await hypervisor.findDomain(UUID)).toBeUndefined();
    });

    it("remembers autostart, through a new definition too", async () => {
      const stored = await hypervisor.define(xml);
      await hypervisor.setAutostart(UUID, true);
      expect(await hypervisor.findDomain(UUID)).toMatchObject({ autostart: true });
      await hypervisor.define(stored);
      expect(await hypervisor.findDomain(UUID)).toMatchObject({ autostart: true });
    });

    it("keeps Ferry's mark with its namespace in the definition, and loses it on request", async () => {
      await hypervisor.define(xml);
      await hypervisor.setMetadata(UUID, "<ferry><incarnation id='a/home/source/1'/></ferry>");
      const marked = await hypervisor.domainXml(UUID, "inactive");
      expect(marked).toMatch(/<ferry:ferry xmlns:ferry=["']https:\/\/ferry.dev\/xmlns\/domain\/1["']>/);
      expect(marked).toMatch(/<ferry:incarnation id=["']a\/home\/source\/1["']\/>/);
      expect(await hypervisor.define(marked)).toBe(marked);
      await hypervisor.setMetadata(UUID, undefined);
      expect(await hypervisor.domainXml(UUID, "inactive")).not.toContain("ferry");
    });

    it("has no snapshots, checkpoints or jobs for a new domain", async () => {
      await hypervisor.define(xml);
      expect(await hypervisor.snapshotXmls(UUID)).toEqual([]);
      expect(await hypervisor.checkpointXmls(UUID)).toEqual([]);
      expect(await hypervisor.runningJobs(UUID)).toEqual({ blockJobs: [], domainJob: false });
    });

    it("tells a domain's life in order", async () => {
      const seen: DomainEvent[] = [];
      const stop = hypervisor.onDomainEvent(event => event.uuid === OTHER && seen.push(event));
      await hypervisor.define(domainXml("observed", OTHER));
      await hypervisor.start(OTHER, { paused: false });
      await hypervisor.destroy(OTHER, { graceful: false });
      await hypervisor.undefine(OTHER);
      await subject.until(() => seen.some(({ event }) => event === "undefined"));
      stop();
      // What real QEMU tells of its CPUs in between is not relied on.
      const stages = ["defined", "started", "stopped", "undefined"];
      expect(seen.map(({ event }) => event).filter(event => stages.includes(event))).toEqual(stages);
    });
  });
}

async function remove(hypervisor: Hypervisor, uuid: string): Promise<void> {
  const domain = await hypervisor.findDomain(uuid);
  if (domain === undefined) return;
  if (domain.state !== "shut-off") await hypervisor.destroy(uuid, { graceful: false });
  if (domain.persistent) await hypervisor.undefine(uuid);
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Fault);
  return thrown as Fault;
}
