/** Values that several callers share, frozen to the bottom. */

export function frozen<Value>(value: Value): Value {
  // Bytes cannot be frozen.
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
