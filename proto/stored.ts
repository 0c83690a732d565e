/**
 * What a row of our own journal or store holds, read back: a row that does not say what was written into it is a fault that
 * names it, and never taken for an empty one.
 */

import { Fault } from "./fault.js";

export function readStored<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault(
      "corrupt",
      `${what} cannot be read: ${reason}`,
      {
        need: "the row as Ferry wrote it",
        fix: "restore the database from a backup, as docs/operating.md says of restored hosts and controllers",
      },
      { cause: error },
    );
  }
}
