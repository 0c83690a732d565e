/** What is wrong with a fleet, looked at from outside: each answer is a list of sentences, empty when all is well. */

import { claimsOn } from "../../lab/daemon-records.js";
import type { Host, Lab } from "../../lab/lab.js";
import { domainsOn, filesOn } from "../../lab/support/host-files.js";
import type { Span } from "./agent-logs.js";
import { digestOn, type Resident } from "./population.js";

export interface Settled {
  readonly resident: Resident;
  readonly host: Host;
}

type Look = (host: Host, here: readonly Resident[]) => Promise<readonly string[]>;

/** Host by host, with those that should be there. */
async function onEach(hosts: readonly Host[], settled: readonly Settled[], look: Look): Promise<string[]> {
  const problems: string[] = [];
  for (const host of hosts) {
    const here = settled.filter(one => one.host === host).map(({ resident }) => resident);
    problems.push(...(await look(host, here)));
  }
  return problems;
}

/** Each server is defined on one host, the one where it should be, and no host holds a file of one that is not there. */
export const misplaced = (lab: Lab, hosts: readonly Host[], settled: readonly Settled[]): Promise<string[]> =>
  onEach(hosts, settled, async (host, residents) => {
    const here = residents.map(({ name }) => name).toSorted();
    const defined = (await domainsOn(lab, host)).map(name => name.trim()).sort();
    const strangers =
      defined.join() === here.join() ? [] : [`${host} has the domains ${defined}, not ${here}`];
    return [...strangers, ...(await leftovers(lab, host, here))];
  });

async function leftovers(lab: Lab, host: Host, here: readonly string[]): Promise<string[]> {
  const files = (await filesOn(lab, host)).map(path => path.slice(path.lastIndexOf("/") + 1));
  const strays = files.filter(file => {
    const [, name] = /^(s\d\d)[.-]/.exec(file) ?? [];
    return (name !== undefined && !here.includes(name)) || /\.(part|fenced|dropped)-/.test(file);
  });
  return [
    ...strays.map(file => `${host} still has ${file}`),
    ...claimsOn(lab, host).map(claim => `${host} still has the claim ${claim}`),
  ];
}

/** Who may start where, as the hook reads it. */
export const wrongLeave = (
  lab: Lab,
  hosts: readonly Host[],
  settled: readonly Settled[],
): Promise<string[]> =>
  onEach(hosts, settled, async (host, residents) => {
    const script = "cd /var/lib/ferry/guests && grep -l ^allow * || true";
    const allowed = (await lab.output(host, ["sh", "-c", script])).split("\n").filter(Boolean).sort();
    const here = residents.map(({ uuid }) => uuid).toSorted();
    return allowed.join() === here.join() ? [] : [`${host} lets others start than it has`];
  });

/** The disks of servers that are off, byte by byte; guests that run say so themselves, of their last boot. */
export async function damaged(lab: Lab, { resident, host }: Settled, boots: number): Promise<string[]> {
  const { name, guest, disk, digest } = resident;
  if (guest !== undefined) {
    const fault = await guest
      .processOn(host)
      .then(() => guest.dataIntact(host, boots).then(() => "", String), String);
    return fault === "" ? [] : [`${name}: ${fault}`];
  }
  const found = await digestOn(lab, host, disk);
  return found === digest ? [] : [`${name} on ${host}: its disk is another one`];
}

export interface Queued {
  readonly migration: string;
  readonly source: string;
  readonly target: string;
  readonly priority: number;
  readonly askedMs: number;
}

/** When a migration is in the queue at the latest: it has been given its target by then. */
const QUEUED_MS = 5_000;

/** Of two that need the same hosts, and both wait, the one that came first goes first, or the one in a hurry. */
export function unfair(queue: readonly Queued[], spans: readonly Span[]): string[] {
  const began = new Map(spans.map(({ migration, beganMs }) => [migration, beganMs]));
  const placeOf = ({ askedMs, priority }: Queued) => askedMs - priority * 600_000;
  const hostsOf = ({ source, target }: Queued) => [source, target].sort().join();
  return queue.flatMap(late =>
    queue
      .filter(early => hostsOf(early) === hostsOf(late) && placeOf(early) < placeOf(late))
      .filter(early => {
        const lateBegan = began.get(late.migration) ?? 0;
        return early.askedMs + QUEUED_MS < lateBegan && lateBegan < (began.get(early.migration) ?? 0);
      })
      .map(early => `${late.migration} was let past ${early.migration}, which needs the same hosts`),
  );
}
