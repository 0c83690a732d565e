/**
 * Asks for a change under one id until there is an answer: a connection that broke has taken either the request or the
 * answer with it, and the controller carries out once what comes twice. A controller that was never reached is not
 * waited for.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../proto/fault.js";
import { connectionOf } from "../proto/fault-info.js";
import type { Shell } from "./shell.js";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

interface Attempts<Response> {
  /** For all attempts together. */
  readonly limitMs: number;
  readonly attempt: (leftMs: number) => Promise<Response>;
  /** Where to look when it stays unknown what became of the request. */
  readonly fix: string;
}

export async function askOnce<Response>(
  shell: Shell,
  { limitMs, attempt, fix }: Attempts<Response>,
): Promise<Response> {
  const untilMs = performance.now() + limitMs;
  let isLost = false;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const leftMs = untilMs - performance.now();
    try {
      return await attempt(leftMs);
    } catch (error) {
      if (!(error instanceof Fault) || !error.isUnknown) throw error;
      const connection = connectionOf(error);
      if (connection === "none" && !isLost) throw error;
      if (connection === undefined || leftMs <= pauseMs) throw unknownOutcome(error, fix);
      if (!isLost) shell.writeError("ferry: the connection is lost; asking again, for the same\n");
      isLost = true;
      await sleep(pauseMs, undefined, { signal: shell.interrupted }).catch(() =>
        shell.interrupted.throwIfAborted(),
      );
    }
  }
}

/** What the controller said keeps its own advice. */
const unknownOutcome = (fault: Fault, fix: string): Fault =>
  fault.detail.fix === undefined
    ? new Fault(fault.code, fault.message, { ...fault.detail, fix }, { cause: fault.cause })
    : fault;
