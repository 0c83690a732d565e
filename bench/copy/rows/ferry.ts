/** Ferry's own copy, agent to agent: a source and a target process, as the agents run it. */

import { once } from "node:events";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { TlsMaterial } from "../../../agent/transfer/channel.js";
import { createAuthority, issueCertificate } from "../../../cli/pki/authority.js";
import { Fault } from "../../../proto/fault.js";
import type { Running, Stage } from "../stage.js";
import type { Answer, Order, SourceOrder, TargetOrder } from "../transfer-end.js";
import type { Row } from "./row.js";

/** Built beside this program. */
const PROGRAM = join(import.meta.dirname, "transfer-end.js");
const HOSTS = { source: "h1", target: "h2" } as const;

/** What the ends do besides sending and receiving. */
type Care = Pick<TargetOrder, "readsBack" | "isLastPass" | "trustsManifest"> &
  Pick<SourceOrder, "compression">;

/** As the agents do by default. */
const FULL_CARE: Care = { readsBack: true, isLastPass: true, trustsManifest: true, compression: "auto" };

interface Ends {
  readonly source: Running;
  readonly target: Running;
}

export const ferryTls = (connections: number): Row => ({
  name: `ferry-tls-${connections}`,
  summary: `TLS, ${countOf(connections)}, digests, read back`,
  needs: [],
  prepare: async stage => {
    const ends = await startEnds(stage, stage.source, connections, FULL_CARE);
    return { copy: () => copy(ends) };
  },
});

export const ferryTlsNoverify = (connections: number): Row => ({
  name: `ferry-tls-${connections}-noverify`,
  summary: `TLS, ${countOf(connections)}, digests, not read back: what an agent never does`,
  needs: [],
  prepare: async stage => {
    const care = { ...FULL_CARE, readsBack: false };
    const ends = await startEnds(stage, stage.source, connections, care);
    return { copy: () => copy(ends) };
  },
});

export const ferryTlsZstd: Row = {
  name: "ferry-tls-1-zstd",
  summary: "TLS, 1 connection, digests, read back, every leaf compressed",
  needs: [],
  prepare: async stage => {
    const ends = await startEnds(stage, stage.source, 1, { ...FULL_CARE, compression: "zstd" });
    return { copy: () => copy(ends) };
  },
};

export const ferryTlsPlain: Row = {
  name: "ferry-tls-1-plain",
  summary: "TLS, 1 connection, digests, read back, nothing compressed",
  needs: [],
  prepare: async stage => {
    const ends = await startEnds(stage, stage.source, 1, { ...FULL_CARE, compression: "off" });
    return { copy: () => copy(ends) };
  },
};

/** The second pass over a file that the target has received before; the first one is made here, unmeasured. */
const ferryDelta = (name: string, summary: string, trustsManifest: boolean): Row => ({
  name,
  summary,
  needs: [],
  prepare: async stage => {
    const old = join(stage.folder, "old");
    renameSync(stage.target, old);
    const first = await startEnds(stage, old, 2, { ...FULL_CARE, isLastPass: false });
    await copy(first);
    for (const end of [first.source, first.target]) await stage.stop(end);
    const ends = await startEnds(stage, stage.source, 2, { ...FULL_CARE, trustsManifest });
    return { copy: () => copy(ends) };
  },
});

export const ferryDeltaKept = ferryDelta("ferry-delta", "TLS, sends leaves that differ, read back", true);
export const ferryDeltaReread = ferryDelta(
  "ferry-delta-reread",
  "the same, and the target is read anew first",
  false,
);

const countOf = (connections: number): string =>
  connections === 1 ? "1 connection" : `${connections} connections`;

async function startEnds(
  stage: Stage,
  path: string,
  connections: number,
  { compression, ...care }: Care,
): Promise<Ends> {
  const tls = await certificates();
  const { sizeBytes, network } = stage;
  const { address } = network;
  const target = stage.start("target", [process.execPath, PROGRAM], true);
  const place = { path: stage.target, sizeBytes, address, sourceHost: HOSTS.source };
  const listens = await ask(target, "listening", { role: "target", tls: tls.target, ...place, ...care });
  const source = stage.start("source", [process.execPath, PROGRAM], true);
  const aim = { address, port: listens.port, targetHost: HOSTS.target, connections, compression };
  await ask(source, "ready", { role: "source", tls: tls.source, path, ...aim });
  return { source, target };
}

async function copy({ source, target }: Ends): Promise<string> {
  const received = answer(target, "received");
  source.child.send("go");
  const [receipt] = await Promise.all([received, answer(source, "sent")]);
  return `${receipt.algorithm}, read back: ${receipt.readBackMode}, target process grew by ${receipt.growthMib} MiB`;
}

async function certificates(): Promise<Record<"source" | "target", TlsMaterial>> {
  const authority = await createAuthority("bench.ferry");
  const issue = async (name: string): Promise<TlsMaterial> => {
    const identity = { kind: "agent", name, domain: "bench.ferry" } as const;
    const { certPem, keyPem } = await issueCertificate(authority, { identity, addresses: [], days: 1 });
    return { ca: authority.certPem, cert: certPem, key: keyPem };
  };
  return { source: await issue(HOSTS.source), target: await issue(HOSTS.target) };
}

type AnswerOf<Kind extends Answer["kind"]> = Extract<Answer, { readonly kind: Kind }>;

async function ask<Kind extends Answer["kind"]>(
  end: Running,
  kind: Kind,
  order: Order,
): Promise<AnswerOf<Kind>> {
  const answered = answer(end, kind);
  end.child.send(order);
  return await answered;
}

/** The next thing that the process says, which must be this; its end is a failure. */
async function answer<Kind extends Answer["kind"]>(end: Running, kind: Kind): Promise<AnswerOf<Kind>> {
  const stop = new AbortController();
  const ended = end.ended.then(() => {
    throw new Fault("failed", "a transfer process ended early");
  });
  try {
    const said = once(end.child, "message", { signal: stop.signal });
    said.catch(() => {});
    const [message] = (await Promise.race([said, ended])) as [Answer];
    if (message.kind === "failed") throw new Fault("failed", message.reason);
    if (message.kind !== kind) throw new Fault("internal", `said ${message.kind} instead of ${kind}`);
    return message as AnswerOf<Kind>;
  } finally {
    stop.abort();
  }
}
