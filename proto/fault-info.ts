/** A fault as it travels: one message with the same five words a person needs. */

import { Fault, isFaultCode } from "./fault.js";
import type { FaultInfo } from "./gen/ferry/v1/model.js";

export function faultToInfo(fault: Fault): FaultInfo {
  const { have = "", need = "", fix = "", host = "" } = fault.detail;
  return { code: fault.code, message: fault.message, have, need, fix, host };
}

/** The reverse; a code of a newer peer that we do not know is `internal`, its message kept. */
export function faultFromInfo(info: FaultInfo): Fault {
  const { code, message, have, need, fix, host } = info;
  const detail = Object.fromEntries(
    Object.entries({ have, need, fix, host }).filter(([, text]) => text !== ""),
  );
  return new Fault(isFaultCode(code) ? code : "internal", message, detail);
}
