/**
 * The libvirt hook of this host as the agent keeps it: installed, proven against the daemon that runs now, proven
 * again whenever that daemon changes, and looked at every minute (SAFETY R6).
 */

import type { Logger } from "pino";
import { Fault } from "../proto/fault.js";
import type { AgentConfig } from "./config.js";
import type { GuestFiles } from "./fence/guest-file.js";
import { auditHook } from "./fence/hook-audit.js";
import { HookWatch } from "./fence/hook-watch.js";
import { hookPath, hookText, installHook } from "./fence/install-hook.js";
import type { Hypervisor } from "./os/hypervisor.js";

const AUDIT_INTERVAL_MS = 60_000;

interface Edges {
  readonly hypervisor: Hypervisor;
  readonly guestFiles: GuestFiles;
  readonly clock: () => number;
  readonly log: Logger;
}

export class Hook {
  readonly #watch: HookWatch;
  #auditProblem = "";
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;

  private constructor(watch: HookWatch, hypervisor: Hypervisor, audit: () => Promise<string>) {
    this.#watch = watch;
    const look = () => void audit().then(problem => (this.#auditProblem = problem));
    this.#timer = setInterval(look, AUDIT_INTERVAL_MS);
    // A daemon that comes back and does not call the hook is explained by a file that it may not run.
    this.#stopListening = hypervisor.onConnection(look);
  }

  static async open(config: AgentConfig, edges: Edges): Promise<Hook> {
    const place = { hookDir: config.hook_dir, stateDir: config.state_dir, runDir: config.run_dir };
    const watch = new HookWatch(edges);
    const expectedText = await hookText(place);
    const audit = async () => {
      const outcome = await auditHook({ path: hookPath(place.hookDir), expectedText });
      return outcome.intact ? "" : outcome.problem;
    };
    const installed = await installHook(place, () => watch.prove());
    if (installed.proven) edges.log.info({ changed: installed.changed }, "the libvirt hook is proven");
    else
      edges.log.warn(
        { changed: installed.changed, problem: installed.problem },
        "the libvirt hook is not proven",
      );
    return new Hook(watch, edges.hypervisor, audit);
  }

  /** Empty when this host is guarded. What is wrong with the file is also why it could not be proven. */
  problem(): string {
    const { proof } = this.#watch;
    return [proof.proven ? "" : proof.problem, this.#auditProblem].filter(text => text !== "").join("; ");
  }

  /** It is being found out again, by itself. */
  isPending(): boolean {
    const { proof } = this.#watch;
    return !proof.proven && proof.pending === true;
  }

  require(): void {
    const problem = this.problem();
    if (problem !== "")
      throw new Fault(
        this.isPending() ? "unreachable" : "refused",
        `the libvirt hook does not guard this host: ${problem}`,
        {
          fix: "restart libvirtd, then try again",
        },
      );
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#watch[Symbol.dispose]();
  }
}
