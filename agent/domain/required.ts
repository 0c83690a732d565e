/** What every domain has, and a document that calls itself one may lack. */

import { Fault } from "../../proto/fault.js";

export function required(value: string | undefined, what: string): string {
  if (value === undefined) throw new Fault("invalid-argument", `domain XML: no ${what}`);
  return value;
}
