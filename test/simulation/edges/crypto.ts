/**
 * Stands for `node:crypto`: everything as it is, but what is random comes from the machine's own chance, and the few keys and
 * certificates that all worlds share are read once.
 */

import { createPrivateKey as parseKey, X509Certificate as RealCertificate } from "node:crypto";
import { currentProcess } from "../world/process.js";

export * from "node:crypto";

export const randomUUID = (): string => currentProcess().machine.random.uuid();
export const randomBytes = (length: number): Buffer => currentProcess().machine.random.bytes(length);

function once<Value>(read: (pem: string | Buffer) => Value): (pem: string | Buffer) => Value {
  const known = new Map<string, Value>();
  return pem => {
    const text = pem.toString("latin1");
    const value = known.get(text) ?? read(pem);
    known.set(text, value);
    return value;
  };
}

const certificateIn = once(pem => new RealCertificate(pem));

/** `new` answers the one that was read before. */
export const X509Certificate = new Proxy(RealCertificate, {
  construct: (_class, [pem]: [string | Buffer]) => certificateIn(pem),
});

export const createPrivateKey = once(parseKey);
