/** A connection to another agent's data port, through the simulated network: each exchange there and back. */

import { ConnectionLost } from "../../../agent/transfer/engine-fault.js";
import { asFault } from "../../../proto/fault.js";
import type { Machine } from "../world/machine.js";
import type { Connection } from "../world/network.js";
import { type Process, stepNow } from "../world/process.js";
import type { TransferListener } from "./transfer-target.js";

export interface DataPort {
  readonly address: string;
  readonly port: number;
  readonly expectHost: string;
}

const BYTES_PER_MS = 100_000;

/** Rejects with `ConnectionLost` when either way fails, with the target's own fault otherwise. */
export function exchange<T>(
  { address, port, expectHost }: DataPort,
  sizeBytes: number,
  body: (listener: TransferListener) => Promise<T> | T,
): Promise<T> {
  const process = stepNow();
  const { world } = process.machine;
  const to = world.machines.get(expectHost);
  if (to === undefined)
    return Promise.reject(new ConnectionLost("unreachable", `there is no host ${expectHost}`));
  return new Promise((resolve, reject) => {
    const connection = new DataConnection(process, to, reject);
    const arrive = () => {
      const listener = world.network.at<TransferListener>(`${address}:${port}`);
      if (!to.isUp || listener === undefined)
        return connection.back(() => connection.lose("connection refused"));
      connection.reached(listener.process);
      listener.process.enter(() => {
        Promise.resolve()
          .then(() => body(listener))
          .then(
            result => connection.back(() => connection.settle(() => resolve(result))),
            (thrown: unknown) => connection.back(() => connection.settle(() => reject(asFault(thrown)))),
          );
      });
    };
    world.time.after(sizeBytes / BYTES_PER_MS, process, () =>
      world.network.send(process.machine, to, arrive, () => connection.lose("connection reset")),
    );
  });
}

class DataConnection implements Connection {
  readonly from: Machine;
  readonly to: Machine;
  readonly #process: Process;
  readonly #reject: (error: unknown) => void;
  #server: Process | undefined;
  #isOver = false;
  readonly #serverDied = () => this.back(() => this.lose("connection reset"));

  constructor(process: Process, to: Machine, reject: (error: unknown) => void) {
    this.#process = process;
    this.from = process.machine;
    this.to = to;
    this.#reject = reject;
    this.from.world.network.open(this);
  }

  reached(server: Process): void {
    this.#server = server;
    server.onDeath.add(this.#serverDied);
  }

  back(deliver: () => void): void {
    this.from.world.network.send(this.to, this.from, deliver, () => this.lose("connection reset"));
  }

  lose(why: string): void {
    this.settle(() =>
      this.#reject(new ConnectionLost("unreachable", `data port of ${this.to.name}: ${why}`)),
    );
  }

  settle(body: () => void): void {
    this.#process.enter(() => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#server?.onDeath.delete(this.#serverDied);
      this.from.world.network.close(this);
      body();
    });
  }
}
