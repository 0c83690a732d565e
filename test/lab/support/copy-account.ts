/**
 * A copy's bytes on the cable, held against what the target had verified. From one interruption to the next no more may cross
 * than was missing at the first of them; no leaf is taken twice; and in the end every byte of the receipt was verified once.
 */

import { expect } from "vitest";
import type { Migration } from "../../../proto/gen/ferry/v1/model.js";
import type { Host, Lab } from "../lab.js";
import { PartJournals } from "./part-journals.js";

const MIB = 1024 * 1024;
/** Of Ethernet, IP, TCP, TLS and frames. */
const HEADERS = 0.08;
/** What the source's sockets held when a connection was lost may still come when the cable is back. */
const ON_ITS_WAY_BYTES = 8 * MIB;

interface Mark {
  readonly verifiedBytes: number;
  readonly receivedBytes: number;
}

export class CopyAccount {
  readonly #lab: Lab;
  readonly #target: Host;
  readonly #journals: PartJournals;
  readonly #marks: Mark[] = [];

  constructor(lab: Lab, target: Host, migrationId: string) {
    this.#lab = lab;
    this.#target = target;
    this.#journals = new PartJournals(lab, target, migrationId);
  }

  verifiedBytes(): Promise<number> {
    return this.#journals.verifiedBytes();
  }

  /** Called when the copy was interrupted, and has not gone on. */
  async mark(): Promise<void> {
    // In this order: what is verified in between makes the account more generous, never wrong.
    const verifiedBytes = await this.verifiedBytes();
    const { receivedBytes } = await this.#lab.linkCounters(this.#target, "mig0");
    this.#marks.push({ verifiedBytes, receivedBytes });
  }

  /** Throws unless the account of a migration that has finished comes out even. */
  async settle({ receipt }: Migration): Promise<void> {
    const copied = receipt.filter(({ mode }) => mode === "copied");
    const payloadBytes = copied.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    await this.mark();
    expect(this.#marks.at(-1)?.verifiedBytes).toBe(payloadBytes);
    expect(await this.#journals.takenTwice()).toEqual([]);
    for (const [index, { verifiedBytes, receivedBytes }] of this.#marks.slice(0, -1).entries()) {
      const crossedBytes = (this.#marks[index + 1]?.receivedBytes ?? 0) - receivedBytes;
      const missingBytes = payloadBytes - verifiedBytes;
      expect(crossedBytes, `after interruption ${index}, with ${missingBytes} bytes missing`).toBeLessThan(
        missingBytes * (1 + HEADERS) + ON_ITS_WAY_BYTES,
      );
    }
  }
}
