/** Sizes as people write them: `512M`, `4GiB`, `65536`; powers of 1024 throughout. */

import { InvalidArgumentError } from "commander";

const POWERS = ["", "K", "M", "G", "T"];
const LIMIT_BYTES = 64 * 1024 ** 4;

/** Files are made in whole steps of this, so that every tool can carry them. */
const STEP_BYTES = 64 * 1024;

export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim()) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new InvalidArgumentError("Must be a size such as 64M, 1.5GiB or 1048576.");
  }
  const bytes = Number(digits) * 1024 ** POWERS.indexOf(unit.toUpperCase());
  if (bytes < 1 || bytes > LIMIT_BYTES) throw new InvalidArgumentError("Must be between 1 byte and 64 TiB.");
  return Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
}
