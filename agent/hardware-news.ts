/**
 * The host's hardware as news: it is large and seldom changes, so it is looked at with every few heartbeats and told
 * when it is not what the controller has.
 */

import { HostHardware } from "../proto/gen/ferry/v1/host.js";
import { BEATS_BETWEEN_LOOKS } from "./seldom.js";

export class HardwareNews {
  readonly #read: () => Promise<HostHardware>;
  /** What the controller has taken, and what the beat under way tells it. */
  #told = "";
  #telling = "";
  #beats = 0;

  constructor(read: () => Promise<HostHardware>) {
    this.#read = read;
  }

  /** Undefined when there is nothing new to say; what cannot be read now is left for a later beat. */
  async next(): Promise<HostHardware | undefined> {
    const isTime = this.#told === "" || this.#beats % BEATS_BETWEEN_LOOKS === 0;
    this.#beats += 1;
    this.#telling = "";
    const hardware = isTime ? await this.#read().catch(() => undefined) : undefined;
    if (hardware === undefined) return undefined;
    this.#telling = JSON.stringify(HostHardware.toJSON(hardware));
    return this.#telling === this.#told ? undefined : hardware;
  }

  /** The controller has answered; `isWanted` when it does not know this host's hardware. */
  delivered(isWanted: boolean): void {
    if (isWanted) this.#told = "";
    else if (this.#telling !== "") this.#told = this.#telling;
  }
}
