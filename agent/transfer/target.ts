/**
 * The data port of an agent: one TLS listener, through which expected transfers and probes come in.
 *
 * A connection is served only if its certificate is that of the host that the transfer comes from and its hello
 * proves the token of exactly this migration, epoch and file list. Nothing is written before that. A newer epoch of
 * a server ends and awaits the older transfer of it; an older one is refused for ever.
 */

import { asFault, Fault } from "../../proto/fault.js";
import type { Connection, Listener } from "../os/engine.js";
import { answerProbe } from "./answer-probe.js";
import { peerHostAt, type TlsMaterial } from "./channel.js";
import { ConnectionLost } from "./engine-fault.js";
import { type FrameTap, Link } from "./link.js";
import { decodeHello, type Hello, provesToken } from "./messages.js";
import type { CopyReceipt } from "./receipt.js";
import { type ExpectedTransfer, ReceiveSession, type SessionDeps } from "./receive-session.js";

export interface ListenerDeps extends Omit<SessionDeps, "absentMs"> {
  readonly tls: () => TlsMaterial;
  readonly limits?: Partial<ListenerLimits>;
  readonly tapIncoming?: FrameTap;
}

export interface ListenerLimits {
  /** A peer that is silent for this long is gone. */
  readonly idleMs: number;
  /** From the first byte to a valid hello. */
  readonly handshakeMs: number;
  /** A transfer without any connection for this long has failed. */
  readonly absentMs: number;
  readonly connections: number;
}

const LIMITS: ListenerLimits = { idleMs: 15_000, handshakeMs: 10_000, absentMs: 60_000, connections: 256 };

/** A transfer that finished answers late reconnections for this long, so that the source learns of it. */
const KEEP_FINISHED_MS = 60_000;

export interface Expectation {
  /** Settles when nothing is written any more. */
  readonly done: Promise<CopyReceipt>;
  abort(reason: string): Promise<void>;
}

/** Who may probe the path: as for a transfer, without files. */
export type ExpectedProbe = Pick<
  ExpectedTransfer,
  "migrationId" | "serverId" | "epoch" | "token" | "sourceHost"
>;

export class TransferListener {
  readonly #deps: ListenerDeps;
  readonly #limits: ListenerLimits;
  readonly #sessions = new Map<string, ReceiveSession>();
  readonly #probes = new Map<string, ExpectedProbe>();
  readonly #epochs = new Map<string, number>();
  readonly #links = new Map<Link, Promise<void>>();
  readonly #port: Listener;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
    this.#limits = { ...LIMITS, ...deps.limits };
    this.#port = new deps.engine.Listener(
      connection => this.#begin(connection),
      ({ message }) => deps.log.info({ reason: message }, "TLS handshake refused"),
    );
  }

  async listen(address: string, port: number): Promise<{ readonly port: number }> {
    const { connections, handshakeMs } = this.#limits;
    const { ca, cert, key } = this.#deps.tls();
    try {
      return { port: await this.#port.listen(address, port, connections, handshakeMs, ca, cert, key) };
    } catch (thrown) {
      const { message } = asFault(thrown);
      throw new Fault("failed", `listen for disk data on ${address}:${port}: ${message}`);
    }
  }

  /** Renewed certificates count from the next connection on. */
  reloadTls(): void {
    const { ca, cert, key } = this.#deps.tls();
    this.#port.setTls(ca, cert, key);
  }

  /** Admits exactly this transfer; throws `stale-epoch` or `conflict` when another one stands. */
  expect(expected: ExpectedTransfer): Expectation {
    this.#requireCurrent(expected);
    const known = this.#sessionsOf(expected.serverId);
    if (known.some(session => session.expected.epoch === expected.epoch && !session.hasEnded)) {
      throw new Fault(
        "conflict",
        `a transfer of ${expected.serverId} at epoch ${expected.epoch} is under way`,
      );
    }
    const olderEnded = this.#overrule(known, expected.epoch);
    const session = new ReceiveSession(
      expected,
      { ...this.#deps, absentMs: this.#limits.absentMs },
      olderEnded,
    );
    this.#sessions.set(expected.migrationId, session);
    session.done.then(
      () => this.#forgetLater(session),
      () => this.#forgetLater(session),
    );
    return { done: session.done, abort: reason => session.abort(reason) };
  }

  /** Responsibility for a server changed hands: resolves when nothing of an older epoch is written any more. */
  async raiseEpoch(serverId: string, epoch: number): Promise<void> {
    this.#epochs.set(serverId, Math.max(epoch, this.#epochs.get(serverId) ?? 0));
    const older = this.#sessionsOf(serverId).filter(session => session.expected.epoch < epoch);
    await this.#overrule(older, epoch);
    for (const [id, probe] of this.#probes) {
      if (probe.serverId === serverId && probe.epoch < epoch) this.#probes.delete(id);
    }
  }

  /** Lets the source measure the path; the answer takes the permission back. */
  admitProbe(expected: ExpectedProbe): () => void {
    this.#requireCurrent(expected);
    this.#probes.set(expected.migrationId, expected);
    return () => {
      if (this.#probes.get(expected.migrationId) === expected) this.#probes.delete(expected.migrationId);
    };
  }

  /** Stops listening and writing; sources see a lost connection and try again for a while. */
  async close(): Promise<void> {
    this.#port.close();
    await Promise.all([...this.#sessions.values()].map(session => session.interrupt()));
    this.#sessions.clear();
    for (const link of this.#links.keys())
      link.drop(new ConnectionLost("unreachable", "the agent is stopping"));
    await Promise.all(this.#links.values());
  }

  #sessionsOf(serverId: string): ReceiveSession[] {
    return [...this.#sessions.values()].filter(session => session.expected.serverId === serverId);
  }

  async #overrule(sessions: readonly ReceiveSession[], epoch: number): Promise<void> {
    for (const session of sessions) this.#sessions.delete(session.expected.migrationId);
    await Promise.all(sessions.map(session => session.overrule(epoch)));
  }

  #requireCurrent({ serverId, epoch }: ExpectedProbe): void {
    const known = this.#epochs.get(serverId) ?? 0;
    if (epoch < known) {
      const epochs = { have: `epoch ${epoch}`, need: `epoch ${known} or newer` };
      throw new Fault("stale-epoch", `a transfer of ${serverId} is refused`, epochs);
    }
    this.#epochs.set(serverId, epoch);
  }

  #begin(connection: Connection): void {
    const { idleMs } = this.#limits;
    const link = new Link(connection, { peer: "peer", idleMs, tapIncoming: this.#deps.tapIncoming });
    this.#links.set(
      link,
      this.#serve(link, connection).finally(() => this.#links.delete(link)),
    );
  }

  async #serve(link: Link, connection: Connection): Promise<void> {
    const { handshakeMs } = this.#limits;
    const tooLate = new ConnectionLost("timeout", `no hello within ${handshakeMs} ms`);
    const timer = setTimeout(() => link.drop(tooLate), handshakeMs);
    try {
      link.peer = await peerHostAt(connection, this.#deps.tls());
      const hello = decodeHello((await link.expect("hello")).payload);
      clearTimeout(timer);
      await this.#dispatch(link, hello, await link.channelBinding());
    } catch (thrown) {
      const fault = asFault(thrown);
      this.#deps.log.info({ peer: link.peer, reason: fault.message }, "transfer connection refused");
      if (fault instanceof ConnectionLost) link.drop(fault);
      else link.refuse(fault);
    } finally {
      clearTimeout(timer);
    }
  }

  async #dispatch(link: Link, hello: Hello, channelBinding: Buffer): Promise<void> {
    const peerHost = link.peer;
    if (hello.purpose === "probe") {
      const probe = this.#probes.get(hello.migrationId);
      this.#authenticate(hello, probe, peerHost, channelBinding);
      await answerProbe(link);
      return link.close();
    }
    const session = this.#sessions.get(hello.migrationId);
    this.#authenticate(hello, session?.expected, peerHost, channelBinding);
    const files = session?.expected.files.map(file => file.id) ?? [];
    if (JSON.stringify(files) !== JSON.stringify(hello.files)) {
      const lists = { have: hello.files.join(" "), need: files.join(" ") };
      throw new Fault("conflict", "the files offered are not the files expected", lists);
    }
    await session?.admit(link, hello);
  }

  #authenticate(hello: Hello, expected: ExpectedProbe | undefined, peerHost: string, binding: Buffer): void {
    const known = this.#epochs.get(hello.serverId) ?? 0;
    if (hello.epoch < known) {
      const epochs = { have: `epoch ${hello.epoch}`, need: `epoch ${known}` };
      throw new Fault("stale-epoch", `${hello.purpose} of ${hello.migrationId} is refused`, epochs);
    }
    if (expected === undefined || expected.epoch !== hello.epoch) {
      throw new Fault("not-found", `no ${hello.purpose} of migration ${hello.migrationId} is expected here`);
    }
    if (peerHost !== expected.sourceHost) {
      const hosts = { have: peerHost, need: expected.sourceHost };
      throw new Fault("permission-denied", `${hello.purpose} of ${hello.migrationId} by another host`, hosts);
    }
    if (hello.serverId !== expected.serverId || !provesToken(hello, expected.token, binding)) {
      throw new Fault("unauthenticated", `wrong token for migration ${hello.migrationId}`);
    }
  }

  #forgetLater(session: ReceiveSession): void {
    const { migrationId } = session.expected;
    const forget = () => {
      if (this.#sessions.get(migrationId) === session) this.#sessions.delete(migrationId);
    };
    setTimeout(forget, KEEP_FINISHED_MS).unref();
  }
}
