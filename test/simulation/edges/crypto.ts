/** Stands for `node:crypto`: everything as it is, but what is random comes from the machine's own chance. */

import { currentProcess } from "../world/process.js";

export * from "node:crypto";

export const randomUUID = (): string => currentProcess().machine.random.uuid();
export const randomBytes = (length: number): Buffer => currentProcess().machine.random.bytes(length);
