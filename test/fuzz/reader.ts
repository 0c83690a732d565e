/**
 * A reader of what others wrote, and how it is judged: it answers, or refuses with a fault or an error of its own format's
 * reader; it never fails in a way that nobody meant, and never takes long.
 */

import { Fault } from "../../proto/fault.js";

export interface Reader {
  readonly name: string;
  /** Real ones, to begin from. */
  readonly documents: readonly Buffer[];
  /** Answers, or promises to. `refusal` for what is neither an answer nor an error: a journal that is begun anew. */
  readonly read: (bytes: Buffer) => unknown;
  /** Nothing that is read here may hold a daemon up for as long as this, also on a machine that is busy. */
  readonly limitMs?: number;
  /** Errors that a reader of this format throws by design, beside faults. */
  readonly throws?: RegExp;
}

/** What a reader answers that does not believe what it read, where that is no error. */
export const REFUSAL = Symbol("refusal");

export type Outcome = "accepted" | "refused" | { readonly complaint: string };

const SLOW_MS = 2_000;

/** What takes long is read once more: the machine may have had other things to do, and what is slow is slow each time. */
export async function judge(reader: Reader, bytes: Buffer): Promise<Outcome> {
  const first = await timed(reader, bytes);
  const { outcome, elapsedMs } = isSlow(reader, first) ? await timed(reader, bytes) : first;
  if (!isSlow(reader, { elapsedMs })) return outcome;
  return { complaint: `${reader.name}: took ${elapsedMs.toFixed(0)} ms for ${bytes.length} bytes` };
}

const isSlow = ({ limitMs = SLOW_MS }: Reader, { elapsedMs }: { elapsedMs: number }) => elapsedMs > limitMs;

async function timed(reader: Reader, bytes: Buffer): Promise<{ outcome: Outcome; elapsedMs: number }> {
  const startedMs = performance.now();
  const outcome = await outcomeOf(reader, bytes);
  return { outcome, elapsedMs: performance.now() - startedMs };
}

async function outcomeOf({ name, read, throws, limitMs = SLOW_MS }: Reader, bytes: Buffer): Promise<Outcome> {
  try {
    const answer = read(bytes);
    const final = answer instanceof Promise ? await within(answer, limitMs) : answer;
    return final === REFUSAL ? "refused" : "accepted";
  } catch (error) {
    const isMeant =
      (error instanceof Fault && error.code !== "internal") ||
      (throws !== undefined && error instanceof Error && throws.test(error.message));
    if (isMeant) return "refused";
    return { complaint: `${name}: ${error instanceof Error ? error.stack : String(error)}` };
  }
}

/** Rejects for what is never answered. */
async function within(answer: Promise<unknown>, limitMs: number): Promise<unknown> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A reader of text. */
export const text = (body: (text: string) => unknown) => (bytes: Buffer) => body(bytes.toString("utf8"));
