/** Option values as numbers, refused by name before anything is asked of anybody. */

import { InvalidArgumentError } from "commander";

export function positiveInteger(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("Must be at least 1.");
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 0xffff_ffff) throw new InvalidArgumentError("Must be a whole number.");
  return value;
}

export function signedInteger(text: string): number {
  if (!/^[+-]?\d{1,4}$/.test(text)) throw new InvalidArgumentError("Must be a whole number.");
  return Number(text);
}

const BYTES_OF_UNIT: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  kbit: 125,
  mbit: 125_000,
  gbit: 125_000_000,
};

/** Bytes per second, of `50M`, `1.5GiB/s`, `400mbit` or `none`, which is 0. */
export function bandwidth(text: string): number {
  if (text === "none") return 0;
  const [, digits = "", unit = ""] =
    /^(\d+(?:\.\d+)?)(kbit|mbit|gbit|k|m|g)(?:i?b)?(?:\/s)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(digits) * (BYTES_OF_UNIT[unit.toLowerCase()] ?? 0));
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError("Must be a rate such as 50M (MiB per second) or 400mbit, or none.");
}

/** Collects `KEY=VALUE`s of a repeatable option. */
export function keyValue(text: string, sofar: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("Must be KEY=VALUE.");
  return { ...sofar, [key]: value };
}

/** Collects the values of a repeatable option. */
export const collect = (text: string, sofar: readonly string[] = []): string[] => [...sofar, text];

/** Collects `bridge:NAME=NAME` and `network:NAME=NAME`, with `HOST/` before it for one host. */
export function networkMapping(
  text: string,
  sofar: Readonly<Record<string, string>> = {},
): Record<string, string> {
  if (/^([a-zA-Z0-9._-]+\/)?(bridge|network):[^/=]+=[^=]+$/.test(text)) return keyValue(text, sofar);
  throw new InvalidArgumentError("Must be [HOST/]bridge:NAME=NAME or [HOST/]network:NAME=NAME.");
}
