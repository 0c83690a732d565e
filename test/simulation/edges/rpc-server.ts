/** Stands for `proto/rpc-server.ts`: the services of a daemon, reached through the simulated network. */

import { Fault } from "../../../proto/fault.js";
import type { Identity } from "../../../proto/identity.js";
import type {
  Caller,
  RunningServer,
  ServerOptions,
  ServiceImplementation,
} from "../../../proto/rpc-server.js";
import { type Process, stepNow } from "../world/process.js";

export type * from "../../../proto/rpc-server.js";
export { implement } from "../../../proto/rpc-server.js";

interface AnyMethod {
  readonly path: string;
  readonly responseStream: boolean;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (message: unknown) => Buffer;
}

interface Served {
  readonly method: AnyMethod;
  readonly handler: (request: unknown, caller: Caller) => Promise<unknown> | AsyncIterable<unknown>;
}

/** What the client's end finds behind an address. */
export class SimulatedServer {
  readonly process: Process;
  readonly identity: Identity;
  readonly #options: ServerOptions;
  readonly #methods = new Map<string, Served>();
  isClosing = false;

  constructor(process: Process, options: ServerOptions) {
    this.process = process;
    this.identity = options.tls.material.identity;
    this.#options = options;
    for (const service of options.services) this.#add(service);
  }

  #add({ definition, handlers }: ServiceImplementation): void {
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler === undefined) throw new Error(`no handler for ${method.path}`);
      this.#methods.set(method.path, { method: method as unknown as AnyMethod, handler });
    }
  }

  /** One call, from the decoding of its request to its last answer. Throws what the handler threw. */
  async serve(path: string, request: Buffer, caller: Caller, answer: (bytes: Buffer) => void): Promise<void> {
    const served = this.#methods.get(path);
    if (served === undefined) throw new Fault("unsupported", `${path} is not served`);
    const { method, handler } = served;
    try {
      this.#options.admit?.(caller);
      const answered = handler(method.requestDeserialize(request), caller);
      if (!method.responseStream) return answer(method.responseSerialize(await answered));
      for await (const message of answered as AsyncIterable<unknown>) {
        if (caller.signal.aborted) return;
        answer(method.responseSerialize(message));
      }
    } catch (thrown) {
      if (!caller.signal.aborted) this.#options.onFailure?.(thrown, caller);
      throw thrown;
    }
  }
}

export async function createServer(options: ServerOptions): Promise<RunningServer> {
  const process = stepNow();
  const { network } = process.machine.world;
  const server = new SimulatedServer(process, options);
  network.listen(options.address, process, server);
  const port = Number(options.address.split(":").at(-1));
  const close = async () => {
    server.isClosing = true;
    network.unlisten(options.address);
  };
  return { port, health: { setServing: () => {} } as unknown as RunningServer["health"], close };
}
