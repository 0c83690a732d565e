/** sd_notify: READY, STOPPING and the watchdog. Silent where systemd did not ask for it. */

/** Says `READY=1` and the like to systemd's socket. */
export type Say = (socket: string, message: string) => Promise<unknown>;

export class Notifier {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #tell: Say;

  constructor(environment: NodeJS.ProcessEnv, say: Say) {
    this.#environment = environment;
    this.#tell = say;
  }

  /** Says READY now, and from then on, until the signal aborts, that the event loop turns. */
  ready(signal: AbortSignal): void {
    this.#say("READY=1");
    const watchdogMs = Number(this.#environment.WATCHDOG_USEC ?? "0") / 1000;
    if (watchdogMs <= 0) return;
    const timer = setInterval(() => this.#say("WATCHDOG=1"), watchdogMs / 3);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  stopping(): void {
    this.#say("STOPPING=1");
  }

  #say(message: string): void {
    const socket = this.#environment.NOTIFY_SOCKET ?? "";
    if (socket === "") return;
    // Nobody to tell when systemd does not listen: its watchdog will say so in its own way.
    this.#tell(socket, message).catch(() => undefined);
  }
}
