/** sd_notify: READY, STOPPING and the watchdog. Silent where systemd did not ask for it. */

import type { Files } from "./files.js";

export class Notifier {
  readonly #files: Pick<Files, "notify">;
  readonly #socket: string;
  readonly #watchdogMs: number;

  constructor(files: Pick<Files, "notify">, environment: NodeJS.ProcessEnv) {
    this.#files = files;
    this.#socket = environment.NOTIFY_SOCKET ?? "";
    this.#watchdogMs = Number(environment.WATCHDOG_USEC ?? "0") / 1000;
  }

  /** Says READY now, and from then on, until the signal aborts, that the event loop turns. */
  ready(signal: AbortSignal): void {
    this.#say("READY=1");
    if (this.#watchdogMs <= 0) return;
    const timer = setInterval(() => this.#say("WATCHDOG=1"), this.#watchdogMs / 3);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  stopping(): void {
    this.#say("STOPPING=1");
  }

  #say(message: string): void {
    if (this.#socket === "") return;
    // Nobody to tell when systemd does not listen: its watchdog will say so in its own way.
    this.#files.notify(this.#socket, message).catch(() => undefined);
  }
}
