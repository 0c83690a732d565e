/**
 * Every method of both daemons, called with messages that no client sends, on a simulated fleet: whoever may call gets an
 * answer or a fault, whoever may not is refused; no daemon fails in a way that nobody meant, no file outside the pools is
 * touched or told of, and afterwards the fleet still does its work.
 */

import type { Client } from "@grpc/grpc-js";
import { asFault, Fault } from "../../proto/fault.js";
import { AgentServiceService } from "../../proto/gen/ferry/v1/agent.js";
import * as controllerMessages from "../../proto/gen/ferry/v1/controller.js";
import { TlsSource } from "../../proto/tls-source.js";
import { call, createClient, stream } from "../simulation/edges/rpc-client.js";
import { Fleet, installTls } from "../simulation/fleet.js";
import type { Machine } from "../simulation/world/machine.js";
import { Process } from "../simulation/world/process.js";
import type { Random } from "../simulation/world/random.js";
import { World } from "../simulation/world/world.js";
import type { Outcome } from "./reader.js";
import type { Tally } from "./tally.js";

interface AnyMethod {
  readonly path: string;
  readonly responseStream: boolean;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (message: never) => Buffer;
}

const POOLS = ["/var/lib/ferry", "/run", "/proc", "/tmp", "/var/lib/libvirt/images"];
const SECRET = "the-root-password-of-h1";
const CALL_LIMIT_MS = 120_000;

const methodsOf = (module: Readonly<Record<string, unknown>>): AnyMethod[] =>
  Object.entries(module)
    .filter(([name]) => name.endsWith("ServiceService"))
    .flatMap(([, service]) => Object.values(service as Record<string, AnyMethod>));

const AGENT_METHODS = methodsOf({ AgentServiceService });
const CONTROLLER_METHODS = methodsOf(controllerMessages);

export async function fuzzServices(inputs: number, seed: number): Promise<Tally[]> {
  const world = new World(seed);
  try {
    const fleet = await Fleet.open(world, { hosts: 2, servers: 1, confirmWindow: 0 });
    const [server = ""] = fleet.servers;
    const [host] = fleet.hosts;
    if (host === undefined) throw new Error("no host");
    const opened = plantTraps(host);
    const before = outsideOf(host);
    const callers = await makeCallers(world);
    const random = world.random.fork("hostile");
    const share = Math.ceil(inputs / callers.length);
    const tallies: Tally[] = [];
    for (const caller of callers) tallies.push(await fuzz(caller, share, { random, server, seed }));
    const after = outsideOf(host);
    const changed = after === before ? [] : [`files outside the pools were changed:\n${before}\n${after}`];
    const complaints = [...changed, ...opened, ...world.bugs, ...(await stillWorks(fleet))];
    return [...tallies, { target: "(fleet afterwards)", inputs: 0, accepted: 0, refused: 0, complaints }];
  } finally {
    world.close();
  }
}

interface Choice {
  readonly random: Random;
  readonly server: string;
  readonly seed: number;
}

async function fuzz(caller: Caller, inputs: number, { random, server, seed }: Choice): Promise<Tally> {
  const complaints: string[] = [];
  const counts = { accepted: 0, refused: 0 };
  for (let input = 0; input < inputs && complaints.length === 0; input += 1) {
    const outcome = await attempt(random, caller, wordsFor(server));
    if (typeof outcome === "object") complaints.push(`${outcome.complaint}\nseed ${seed}, input ${input}`);
    else counts[outcome] += 1;
  }
  return { target: `gRPC of the ${caller.callee} by ${caller.who}`, inputs, ...counts, complaints };
}

/** Somebody with a certificate, and the daemon that they talk to. */
interface Caller {
  readonly who: string;
  readonly callee: "agent" | "controller";
  readonly process: Process;
  readonly client: Client;
  readonly methods: readonly AnyMethod[];
  /** By whom no call may be carried out. */
  readonly mustBeRefused: boolean;
}

async function makeCallers(world: World): Promise<Caller[]> {
  const callers: Caller[] = [];
  const add = async (
    identity: Parameters<typeof installTls>[1],
    address: string,
    methods: readonly AnyMethod[],
    mustBeRefused = false,
  ) => {
    const machine = world.add(`caller-${callers.length}`);
    await installTls(machine, identity);
    const process = new Process(machine, "hostile", machine.nextPid());
    const kind = address.startsWith("ctl") ? ("controller" as const) : ("agent" as const);
    const paths = {
      ca: "/etc/ferry/tls/ca.crt",
      cert: "/etc/ferry/tls/tls.crt",
      key: "/etc/ferry/tls/tls.key",
    };
    const client = await inProcess(process, async () =>
      createClient(address, new TlsSource(paths), { kind }),
    );
    const who = `${identity.kind}/${identity.name}`;
    callers.push({ who, callee: kind, process, client, methods, mustBeRefused });
  };
  await add({ kind: "controller", name: "ctl" }, "h1:7401", AGENT_METHODS);
  await add({ kind: "user", name: "root", role: "admin" }, "ctl:7400", CONTROLLER_METHODS);
  await add({ kind: "user", name: "eve", role: "member" }, "ctl:7400", CONTROLLER_METHODS);
  await add({ kind: "agent", name: "h2" }, "ctl:7400", CONTROLLER_METHODS);
  await add({ kind: "agent", name: "h2" }, "h1:7401", AGENT_METHODS, true);
  await add({ kind: "user", name: "root", role: "admin" }, "h1:7401", AGENT_METHODS, true);
  return callers;
}

async function attempt(random: Random, caller: Caller, words: readonly string[]): Promise<Outcome> {
  const method = random.pick(caller.methods);
  const request = requestFor(method, random, words);
  const machine = caller.process.machine;
  let outcome: Answered | undefined;
  void inProcess(caller.process, () => ask(caller, method, request)).then(
    answer => (outcome = { answer }),
    (error: unknown) => (outcome = { fault: error instanceof Fault ? error : asFault(error) }),
  );
  await machine.world.time.run(() => outcome !== undefined, CALL_LIMIT_MS);
  const what = `${caller.who} calls ${method.path} with ${JSON.stringify(request)?.slice(0, 400)}`;
  const complaint = complaintAbout(outcome, caller);
  if (complaint !== undefined) return { complaint: `${what}: ${complaint}` };
  return outcome?.fault === undefined ? "accepted" : "refused";
}

interface Answered {
  readonly answer?: string;
  readonly fault?: Fault;
}

function complaintAbout(outcome: Answered | undefined, { mustBeRefused }: Caller): string | undefined {
  if (outcome === undefined) return "no answer";
  const { answer, fault } = outcome;
  if (fault?.code === "internal") return String(fault.stack);
  if (mustBeRefused && fault?.code !== "permission-denied") return "was not refused";
  if (answer?.includes(SECRET) || fault?.message.includes(SECRET)) return "told the secret";
  return undefined;
}

async function ask({ client }: Caller, method: AnyMethod, request: unknown): Promise<string> {
  const options = { signal: AbortSignal.timeout(60_000), deadlineMs: 60_000 };
  if (!method.responseStream) return JSON.stringify(await call(client, method as never, request, options));
  const messages: unknown[] = [];
  for await (const one of stream(client, method as never, request, options)) messages.push(one);
  return JSON.stringify(messages);
}

/** As a message of this method, from bytes that are well formed and otherwise anything. */
function requestFor(method: AnyMethod, random: Random, words: readonly string[]): unknown {
  for (;;) {
    try {
      return method.requestDeserialize(message(random, words, 3));
    } catch {
      // A word was taken for a message.
    }
  }
}

function message(random: Random, words: readonly string[], depth: number): Buffer {
  const fields: Buffer[] = [];
  for (let count = random.between(1, 7); count > 0; count -= 1) {
    const field = random.chance(0.6) ? random.between(1, 6) : random.between(7, 45);
    if (random.chance(0.3))
      fields.push(varint(field * 8), varint(random.pick([0, 1, 2, 3, 7, 255, 2 ** 31, 2 ** 52])));
    else {
      const isNested = depth > 0 && random.chance(0.4);
      const body = isNested ? message(random, words, depth - 1) : Buffer.from(random.pick(words));
      fields.push(varint(field * 8 + 2), varint(body.length), body);
    }
  }
  return Buffer.concat(fields);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  return Buffer.from([...bytes, left]);
}

const wordsFor = (server: string): readonly string[] => [
  server,
  server,
  server,
  "web-0",
  "h1",
  "h2",
  "m1",
  "",
  "\\0",
  "a".repeat(5000),
  "../../../etc/shadow",
  "/etc/shadow",
  "/var/lib/libvirt/images/../../../../etc/shadow",
  "/var/lib/libvirt/images/link/shadow",
  "/var/lib/libvirt/images/web-0/disk",
  "vda/0",
  "vda",
  "raw",
  "qcow2",
  "copied",
  "re-created",
  "confirmed",
  "reverted",
  "refuse",
  "carry",
  "small",
  "-1",
  "<domain/>",
  `<domain type="qemu"><name>x</name><uuid>${server}</uuid></domain>`,
  "http://[::1",
  "{}",
  "' OR 1=1 --",
  "\\u0000\\ud800",
];

/** What must not be reached: by name, through a link in the pool, or above it. Answers a list of each time that it is opened. */
function plantTraps(host: Machine): string[] {
  host.writeFile("/etc/shadow", SECRET, 0o600);
  const opened: string[] = [];
  const { opens } = host.disk.need("/etc/shadow", "open");
  opens.add = file => {
    opened.push(`${file.path} was opened`);
    return Set.prototype.add.call(opens, file) as typeof opens;
  };
  const link = host.disk.create("/var/lib/libvirt/images/link", "symlink", 0o777);
  link.linkTarget = "/etc";
  return opened;
}

function outsideOf(host: Machine): string {
  const lines: string[] = [];
  for (const [path, inode] of host.disk.walk("/")) {
    const isPool = POOLS.some(pool => path.startsWith(`/${pool}`) || path.startsWith(`${pool}/`));
    if (!isPool) lines.push(`${path} ${inode.ino} ${inode.sizeBytes} ${inode.mtimeNs}`);
  }
  return lines.sort().join("\n");
}

async function stillWorks(fleet: Fleet): Promise<string[]> {
  const isThere = await fleet.operator.until(async () => {
    const hosts = await fleet.operator.hosts();
    return hosts.some(({ name, state }) => name === "h1" && state === "up");
  }, 120_000);
  return isThere ? [] : ["the fleet does not answer any more"];
}

function inProcess<T>(process: Process, body: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => process.enter(() => void body().then(resolve, reject)));
}
