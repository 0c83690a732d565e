/** A refusal: a fault as a value, to be collected rather than thrown. */

import { Fault, type FaultCode, type FaultDetail } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";

export const refusal = (code: FaultCode, message: string, detail: FaultDetail = {}): FaultInfo =>
  toFaultInfo(new Fault(code, message, detail));
