/** Hosts of the simulation have no sshd: whoever configures one is told so. */

import type { Carrier } from "../../../agent/transfer/carrier.js";
import { Fault } from "../../../proto/fault.js";

export class SshCarrier implements Carrier {
  async reach(): Promise<never> {
    throw new Fault("unsupported", "the simulation has no ssh");
  }
}
