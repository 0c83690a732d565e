/** Booleans as Nova's schemas take them: real ones, and the words that Python's clients send. */

import type { Schema } from "./schema.js";

const TRUE: readonly unknown[] = [
  true,
  "True",
  "TRUE",
  "true",
  "1",
  "ON",
  "On",
  "on",
  "YES",
  "Yes",
  "yes",
  "y",
  "t",
];
const FALSE: readonly unknown[] = [
  false,
  "False",
  "FALSE",
  "false",
  "0",
  "OFF",
  "Off",
  "off",
  "NO",
  "No",
  "no",
  "n",
  "f",
];

export const booleanSchema: Schema = { type: ["boolean", "string"], enum: [...TRUE, ...FALSE] };
export const optionalBooleanSchema: Schema = {
  type: ["boolean", "string", "null"],
  enum: [...TRUE, ...FALSE, null],
};

export const isTrue = (value: unknown): boolean => TRUE.includes(value);
