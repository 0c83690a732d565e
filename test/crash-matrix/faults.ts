/**
 * The columns of the crash matrix: what is killed. Each fault strikes while the controller is stopped, says how to see from
 * outside that it has struck, and brings back what does not come back by itself.
 */

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Host, type Lab, waitFor } from "../lab/lab.js";

export interface Route {
  readonly source: Host;
  readonly target: Host;
}

export interface Fault {
  readonly name: string;
  /** Returns once it has been seen to have struck. */
  readonly strike: (lab: Lab, route: Route) => Promise<void>;
  /** The controller goes on before this is called: it meets what is dead. */
  readonly mend: (lab: Lab, route: Route) => Promise<void>;
  /** The controller itself is what was killed: it is not continued. */
  readonly isController?: boolean;
}

/** Long enough for somebody to notice. */
const OUTAGE_MS = 2_000;

const killed = async (lab: Lab, host: Host, pid: string): Promise<void> => {
  const isGone = async () => (await lab.exec(host, ["kill", "-0", pid])).code !== 0;
  await waitFor(isGone, { deadlineMs: 10_000, what: `process ${pid} of ${host} is gone` });
};

const pidOf = (lab: Lab, host: Host, file: string): Promise<string> => lab.output(host, ["cat", file]);

async function killAgent(lab: Lab, host: Host): Promise<void> {
  const pid = await pidOf(lab, host, "/run/ferry-lab/agent.pid");
  await lab.agent(host, "kill");
  await killed(lab, host, pid);
}

async function killLibvirtd(lab: Lab, host: Host): Promise<void> {
  const pid = await pidOf(lab, host, "/run/libvirtd.pid");
  await lab.output(host, ["kill", "-KILL", pid]);
  await killed(lab, host, pid);
}

/** Written and not flushed: a power cut that does not lose it would prove nothing. */
const UNFLUSHED = "/var/lib/ferry/unflushed";

async function cutPower(lab: Lab, host: Host): Promise<void> {
  await lab.output(host, ["sh", "-c", `echo unflushed >${UNFLUSHED}`]);
  const pid = await lab.pid(host);
  await lab.kill(host);
  assert.throws(() => process.kill(pid, 0), `the first process of ${host} is gone`);
}

/** Its name may have been flushed with something else, its content not. */
async function restorePower(lab: Lab, host: Host): Promise<void> {
  await lab.start(host);
  const { code } = await lab.exec(host, ["test", "-s", UNFLUSHED]);
  assert.equal(code, 1, `${host} has lost what it had not flushed`);
  await lab.output(host, ["rm", "-f", UNFLUSHED]);
}

const nothing = async (): Promise<void> => {};

export const FAULTS: readonly Fault[] = [
  {
    name: "controller",
    isController: true,
    async strike(lab) {
      const pid = await pidOf(lab, "ctl", "/run/ferry-lab/controller.pid");
      await lab.controller("kill");
      await killed(lab, "ctl", pid);
    },
    mend: nothing,
  },
  { name: "source agent", strike: (lab, { source }) => killAgent(lab, source), mend: nothing },
  { name: "target agent", strike: (lab, { target }) => killAgent(lab, target), mend: nothing },
  {
    name: "source power cut",
    strike: (lab, { source }) => cutPower(lab, source),
    mend: (lab, { source }) => restorePower(lab, source),
  },
  {
    name: "target power cut",
    strike: (lab, { target }) => cutPower(lab, target),
    mend: (lab, { target }) => restorePower(lab, target),
  },
  {
    name: "source libvirtd",
    strike: (lab, { source }) => killLibvirtd(lab, source),
    mend: (lab, { source }) => pause(OUTAGE_MS).then(() => lab.restartLibvirtd(source)),
  },
  {
    name: "target libvirtd",
    strike: (lab, { target }) => killLibvirtd(lab, target),
    mend: (lab, { target }) => pause(OUTAGE_MS).then(() => lab.restartLibvirtd(target)),
  },
  {
    name: "link",
    async strike(lab, { target }) {
      await lab.link(target, "down");
      const isDead = (await lab.exec("ctl", ["ping", "-c1", "-W1", target])).code !== 0;
      assert(isDead, `the cable of ${target} is out`);
    },
    mend: (lab, { target }) => pause(OUTAGE_MS).then(() => lab.link(target, "up")),
  },
];
