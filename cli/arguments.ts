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
