/**
 * What the engine's errors mean: the one place where its codes become faults.
 *
 * A `ConnectionLost` says that the effect of what was under way is unknown and that trying again may help; everything
 * else ends the transfer.
 */

import { Fault } from "../../proto/fault.js";
import { errnoOf, fileFault } from "./file-fault.js";
import { decodeError } from "./messages.js";
import { LEAF_BYTES, protocolFault } from "./protocol.js";

/** The connection did not come to be or was lost: its effect is unknown, trying again may help. */
export class ConnectionLost extends Fault {}

/** Name and path of a file by its place in the hello. */
export type FileAt = (index: number) => { readonly id: string; readonly path: string };

interface EngineError extends Error {
  readonly payload?: Buffer;
  readonly file?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly leaves?: number;
}

/** What a failed connection means, for both ends and before anything is known of files. */
export function connectionFault(thrown: unknown, attempt: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = `${attempt}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  const cause = { cause: thrown };
  switch (errnoOf(thrown)) {
    case "ERR_TRANSFER_IDENTITY":
      return new Fault("unauthenticated", message, {}, cause);
    case "ERR_TRANSFER_TIMEOUT":
      return new ConnectionLost("timeout", message, {}, cause);
    default:
      return new ConnectionLost("unreachable", message, {}, cause);
  }
}

/** What ended a call on a connection to `peer`; undefined when our own side ended it, and knows better why. */
export function engineFault(
  thrown: unknown,
  peer: string,
  verb: "read" | "write",
  fileAt: FileAt,
): Fault | undefined {
  if (thrown instanceof Fault) return thrown;
  const error = thrown as EngineError;
  const code = errnoOf(thrown);
  if (code === "ERR_TRANSFER_STOPPED") return undefined;
  if (code === "ERR_TRANSFER_PROTOCOL") return protocolFault(error.message);
  if (code === "ERR_TRANSFER_PEER") return decodeError(error.payload ?? Buffer.alloc(0), peer);
  if (code === "ERR_TRANSFER_CORRUPT") return corrupt(error, fileAt);
  if (error.file !== undefined) return diskFault(error, verb, fileAt);
  return connectionFault(thrown, `connection to ${peer}`);
}

function corrupt({ file = 0, offset = 0, leaves = 0 }: EngineError, fileAt: FileAt): Fault {
  const where = `${fileAt(file).id} at offset ${offset}`;
  return new Fault("corrupt", `${where}: what was read back is not what the source read`, {
    have: `${leaves} wrong leaves in this segment`,
    need: "the source's digest",
    fix: "check the target's disk and memory before trying again",
  });
}

function diskFault(error: EngineError, verb: "read" | "write", fileAt: FileAt): Fault {
  const { id, path } = fileAt(error.file ?? 0);
  const { offset = 0, length = 0 } = error;
  if (verb === "read" && errnoOf(error) === "ENODATA") {
    return new Fault("conflict", `${id} at ${path} shrank while it was copied`, {
      have: `less than ${offset + length} bytes`,
      need: `at least ${offset + Math.min(length, LEAF_BYTES)} bytes`,
    });
  }
  return fileFault(error, `${verb} ${id} at offset ${offset} of ${path}`);
}
