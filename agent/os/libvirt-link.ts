/**
 * The agent's connections to one libvirt daemon.
 *
 * Short questions and events share one control connection. Each long call (start, stop, …) gets a connection of its
 * own: the daemon serves five calls of a connection at a time, and no number of stuck starts may block a state.
 * A lost control connection is never revived but replaced: `lost` is told, another is opened for as long as it takes,
 * events are subscribed again, then `restored` is told (events in between are lost: reconcile). A call that outlives
 * its limit rejects with `timeout`; libvirt cannot cancel, so it goes on behind.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { Connect, Libvirt, LifecycleNotice } from "../../native/lib/libvirt.js";
import { VIR_ERR_NO_SUPPORT, VIR_FROM_RPC } from "../../native/lib/libvirt-constants.js";
import { LibvirtError } from "../../native/lib/libvirt-error.js";
import { Fault } from "../../proto/fault.js";
import { libvirtFault } from "./libvirt-fault.js";

export interface LibvirtLinkOptions {
  readonly uri: string;
  /** How long a question, and how long a long call, may take. */
  readonly controlLimitMs: number;
  readonly longLimitMs: number;
  /** The daemon is gone when this many probes, so far apart, stay unanswered. */
  readonly keepAlive: { readonly intervalSeconds: number; readonly count: number };
}

export type ConnectionState = "lost" | "restored";

const RECONNECT_FIRST_MS = 100;
const RECONNECT_MOST_MS = 5_000;

export class LibvirtLink {
  readonly #libvirt: Libvirt;
  readonly #options: LibvirtLinkOptions;
  readonly #closing = new AbortController();
  readonly #lifecycleListeners = new Set<(notice: LifecycleNotice) => void>();
  readonly #connectionListeners = new Set<(state: ConnectionState) => void>();
  #control: Connect | undefined;

  private constructor(libvirt: Libvirt, options: LibvirtLinkOptions) {
    this.#libvirt = libvirt;
    this.#options = options;
  }

  /** Rejects with a fault when the daemon cannot be reached now. */
  static async open(libvirt: Libvirt, options: LibvirtLinkOptions): Promise<LibvirtLink> {
    const link = new LibvirtLink(libvirt, options);
    try {
      await link.#openControl();
    } catch (error) {
      throw libvirtFault(`connect to ${options.uri}`, error);
    }
    return link;
  }

  /** On the control connection. `attempt` begins the message of a fault. */
  async control<T>(attempt: string, call: (connect: Connect) => Promise<T>): Promise<T> {
    const connect = this.#control;
    if (connect === undefined) throw this.#notConnected(attempt);
    try {
      return await limited(this.#options.controlLimitMs, call(connect));
    } catch (error) {
      await this.#doubt(connect, error);
      throw libvirtFault(attempt, error);
    }
  }

  /** On a connection of its own. */
  async long<T>(attempt: string, call: (connect: Connect) => Promise<T>): Promise<T> {
    if (this.#control === undefined) throw this.#notConnected(attempt);
    try {
      return await limited(this.#options.longLimitMs, this.#alone(call));
    } catch (error) {
      throw libvirtFault(attempt, error);
    }
  }

  onLifecycle(listener: (notice: LifecycleNotice) => void): () => void {
    this.#lifecycleListeners.add(listener);
    return () => this.#lifecycleListeners.delete(listener);
  }

  onConnection(listener: (state: ConnectionState) => void): () => void {
    this.#connectionListeners.add(listener);
    return () => this.#connectionListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const control = this.#control;
    this.#control = undefined;
    await control?.close();
  }

  async #openControl(): Promise<void> {
    const opening = this.#openSubscribed();
    try {
      const connect = await limited(this.#options.controlLimitMs, opening);
      if (this.#closing.signal.aborted) await connect.close();
      else this.#control = connect;
    } catch (error) {
      void opening.then(
        late => late.close(),
        () => undefined,
      );
      throw error;
    }
  }

  async #openSubscribed(): Promise<Connect> {
    const connect = await this.#open();
    try {
      await connect.onLifecycle(notice => {
        for (const listener of this.#lifecycleListeners) listener(notice);
      });
      await unlessUnsupported(connect.onClose(() => this.#lose(connect)));
    } catch (error) {
      await connect.close();
      throw error;
    }
    return connect;
  }

  async #open(): Promise<Connect> {
    const connect = await this.#libvirt.open(this.#options.uri, 0);
    const { intervalSeconds, count } = this.#options.keepAlive;
    try {
      await unlessUnsupported(connect.setKeepAlive(intervalSeconds, count));
    } catch (error) {
      await connect.close();
      throw error;
    }
    return connect;
  }

  async #alone<T>(call: (connect: Connect) => Promise<T>): Promise<T> {
    const connect = await this.#open();
    try {
      return await call(connect);
    } finally {
      await connect.close();
    }
  }

  /**
   * After a failed call. A connection on which a call got stuck is given up too: five of those and it would answer
   * nothing at all.
   */
  async #doubt(connect: Connect, error: unknown): Promise<void> {
    if (this.#control !== connect) return;
    const stuck = error instanceof Fault && error.code === "timeout";
    const broken = error instanceof LibvirtError && error.domain === VIR_FROM_RPC;
    if (stuck || (broken && !(await connect.isAlive().catch(() => false)))) this.#lose(connect);
  }

  /** Once per connection: a broken call and the close event may both tell. */
  #lose(connect: Connect): void {
    if (this.#control !== connect) return;
    this.#control = undefined;
    void connect.close();
    this.#tell("lost");
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (
      let pauseMs = RECONNECT_FIRST_MS;
      !signal.aborted;
      pauseMs = Math.min(pauseMs * 2, RECONNECT_MOST_MS)
    ) {
      try {
        await this.#openControl();
        if (!signal.aborted) this.#tell("restored");
        return;
      } catch {
        // Whatever the reason, all we can do is try again; every call meanwhile says that we are not connected.
        await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  #tell(state: ConnectionState): void {
    for (const listener of this.#connectionListeners) listener(state);
  }

  #notConnected(attempt: string): Fault {
    return new Fault("unreachable", `${attempt}: not connected to libvirt at ${this.#options.uri}`);
  }
}

async function limited<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = delay(limitMs, undefined, { signal: done.signal }).then(() => {
    throw new Fault("timeout", `libvirt gave no answer within ${limitMs} ms`);
  });
  late.catch(() => undefined);
  work.catch(() => undefined); // when it fails after its limit nobody listens any more
  try {
    return await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}

/** The test driver has neither keepalives nor a close event, having no daemon to lose. */
async function unlessUnsupported(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof LibvirtError && error.code === VIR_ERR_NO_SUPPORT)) throw error;
  }
}
