/**
 * What is known about the hook now: the last proof, good for the life of one daemon (SAFETY R6d).
 *
 *     unproven ──prove──▶ proven ──connection lost──▶ unproven ──restored──▶ prove again
 *
 * A proof that was under way when the connection was lost is thrown away: it was about the daemon before.
 */

import { Fault } from "../../proto/fault.js";
import type { Hypervisor } from "../os/hypervisor.js";
import { type HookProof, type HookProofEdges, proveHook } from "./hook-proof.js";

export interface HookWatchEdges extends HookProofEdges {
  readonly hypervisor: HookProofEdges["hypervisor"] & Pick<Hypervisor, "onConnection">;
}

const PROBLEM = {
  lost: "libvirtd does not answer",
  restored: "libvirtd has come back, and the hook is being proven again",
};

export class HookWatch {
  #proof: HookProof = { proven: false, problem: "the hook has not been proven yet" };
  #daemonLife = 0;
  #underWay: Promise<unknown> = Promise.resolve();
  readonly #edges: HookWatchEdges;
  readonly #stopListening: () => void;

  constructor(edges: HookWatchEdges) {
    this.#edges = edges;
    this.#stopListening = edges.hypervisor.onConnection(state => {
      this.#daemonLife += 1;
      this.#proof = { proven: false, pending: true, problem: PROBLEM[state] };
      if (state === "restored") void this.prove();
    });
  }

  get proof(): HookProof {
    return this.#proof;
  }

  /** Runs the self-test, after any that is under way. */
  prove(): Promise<HookProof> {
    const next = this.#underWay.then(async () => {
      const life = this.#daemonLife;
      const proof = await proveHook(this.#edges);
      if (life === this.#daemonLife) this.#proof = proof;
      return this.#proof;
    });
    this.#underWay = next;
    return next;
  }

  /** Before a server is taken, fenced or prepared: no proof, no promise. */
  requireProof(): void {
    if (this.#proof.proven) return;
    throw new Fault("refused", this.#proof.problem, { fix: "restart libvirtd, then repeat" });
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }
}
