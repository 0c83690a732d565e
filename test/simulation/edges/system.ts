/** Stands for `agent/probe/system.ts`: nothing is known of the board of a simulated machine. */

import type { SystemReading } from "../../../agent/probe/system.js";

export const readSystemOnce = () => async (): Promise<SystemReading> => ({ system: undefined, problems: [] });
