/**
 * sd_notify without native code: Node has no datagram sockets of the unix kind, so systemd's own `systemd-notify`
 * speaks for us (the unit says NotifyAccess=all). Silent where systemd did not ask for it.
 */

import { execFile } from "node:child_process";

export class Notifier {
  readonly #isAsked: boolean;
  readonly #watchdogMs: number;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#isAsked = (environment.NOTIFY_SOCKET ?? "") !== "";
    this.#watchdogMs = Number(environment.WATCHDOG_USEC ?? "0") / 1000;
  }

  /** Says READY now, and from then on, until the signal aborts, that the event loop turns. */
  ready(signal: AbortSignal): void {
    this.#say("--ready");
    if (this.#watchdogMs <= 0) return;
    const timer = setInterval(() => this.#say("WATCHDOG=1"), this.#watchdogMs / 3);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  stopping(): void {
    this.#say("STOPPING=1");
  }

  #say(message: string): void {
    if (!this.#isAsked) return;
    // Nobody to tell when systemd does not listen: its watchdog will say so in its own way.
    execFile("systemd-notify", [message], () => undefined);
  }
}
