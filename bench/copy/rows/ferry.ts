/** Ferry's own copy, agent to agent: a source and a target process, as the agents run it. */

import { once } from "node:events";
import { join } from "node:path";
import type { TlsMaterial } from "../../../agent/transfer/channel.js";
import { createAuthority, issueCertificate } from "../../../cli/pki/authority.js";
import { Fault } from "../../../proto/fault.js";
import type { Running } from "../stage.js";
import type { Answer, Order } from "../transfer-end.js";
import type { Row } from "./row.js";

const PROGRAM = join(import.meta.dirname, "..", "transfer-end.js");
const HOSTS = { source: "h1", target: "h2" } as const;

export const ferryTls = (connections: number): Row => ({
  name: `ferry-tls-${connections}`,
  summary: `TLS, ${connections} connection${connections === 1 ? "" : "s"}, digests, read back`,
  needs: [],
  prepare: async stage => {
    const tls = await certificates();
    const target = stage.start("target", [process.execPath, PROGRAM], true);
    const { path, sizeBytes, address } = { path: stage.target, sizeBytes: stage.sizeBytes, ...stage.network };
    const listens = await ask(target, "listening", {
      role: "target",
      tls: tls.target,
      path,
      sizeBytes,
      address,
      sourceHost: HOSTS.source,
    });
    const source = stage.start("source", [process.execPath, PROGRAM], true);
    await ask(source, "ready", {
      role: "source",
      tls: tls.source,
      path: stage.source,
      address,
      port: listens.port,
      targetHost: HOSTS.target,
      connections,
    });
    return { copy: () => copy(source, target) };
  },
});

async function copy(source: Running, target: Running): Promise<string> {
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
