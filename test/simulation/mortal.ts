/**
 * A controller's life: a number of moments after which nothing that it does has any effect or answer any more. A
 * moment is each committed transaction, and each call to an agent before it is sent and after its effect.
 */

import type { AgentPort } from "../../controller/fleet/agent-port.js";
import type { Transactions } from "../../controller/store/store.js";

export class Life {
  moments = 0;
  readonly #diesAt: number;

  constructor(diesAt = Number.POSITIVE_INFINITY) {
    this.#diesAt = diesAt;
  }

  get isOver(): boolean {
    return this.moments >= this.#diesAt;
  }

  /** One more moment; whoever is dead never gets past it. */
  async pass(): Promise<void> {
    this.moments += 1;
    await this.#unlessDead();
  }

  async #unlessDead(): Promise<void> {
    if (this.isOver) await new Promise(() => {});
  }

  store(store: Transactions): Transactions {
    return {
      queries: store.queries,
      transaction: async body => {
        await this.#unlessDead();
        const result = await store.transaction(body);
        await this.pass();
        return result;
      },
    };
  }

  agent(agent: AgentPort): AgentPort {
    return {
      perform: async (host, request, options) => {
        await this.pass();
        const result = await agent.perform(host, request, options);
        await this.pass();
        return result;
      },
      attest: (host, serverId, signal) => agent.attest(host, serverId, signal),
      describeMigration: (host, request, signal) => agent.describeMigration(host, request, signal),
      inspectDomain: (host, request, signal) => agent.inspectDomain(host, request, signal),
      describeHost: (host, signal) => agent.describeHost(host, signal),
      describeSource: (host, request, signal) => agent.describeSource(host, request, signal),
      checkTarget: (host, request, signal) => agent.checkTarget(host, request, signal),
      measurePath: (host, request, signal) => agent.measurePath(host, request, signal),
      limitTransfer: (host, request, signal) => agent.limitTransfer(host, request, signal),
      verifyFiles: (host, request, signal) => agent.verifyFiles(host, request, signal),
      getOperation: (host, key, signal) => agent.getOperation(host, key, signal),
      cancelOperation: (host, key, signal) => agent.cancelOperation(host, key, signal),
    };
  }
}
