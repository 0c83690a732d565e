/**
 * Checks what was sent against a schema, and complains in the words of Python's jsonschema as Nova passes them on.
 * Just the keywords that Nova's own schemas of these resources use. The first complaint is the answer.
 */

import { NovaError } from "./nova-error.js";
import { pythonRepr, pythonStr } from "./python-words.js";

type TypeName = "object" | "array" | "string" | "integer" | "number" | "boolean" | "null";

export interface Schema {
  readonly type?: TypeName | readonly TypeName[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  /** By name; any name where absent. */
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Complaint {
  /** Last name on the way to what is wrong; absent at the top. */
  readonly at?: string;
  readonly value: unknown;
  readonly words: string;
}

export type InputKind = "body" | "query";

export function requireValid(schema: Schema, value: unknown, kind: InputKind = "body"): void {
  const complaint = complaintOf(schema, value, undefined);
  if (complaint === undefined) return;
  const { at, words } = complaint;
  if (at === undefined) throw new NovaError(400, words);
  const what = kind === "body" ? "field/attribute" : "query parameters";
  throw new NovaError(400, `Invalid input for ${what} ${at}. Value: ${pythonStr(complaint.value)}. ${words}`);
}

function complaintOf(schema: Schema, value: unknown, at: string | undefined): Complaint | undefined {
  const words = typeWords(schema, value) ?? enumWords(schema, value) ?? ownWords(schema, value);
  if (words !== undefined) return { ...(at === undefined ? {} : { at }), value, words };
  if (Array.isArray(value) && schema.items !== undefined) {
    for (const [index, item] of value.entries()) {
      const complaint = complaintOf(schema.items, item, String(index));
      if (complaint !== undefined) return complaint;
    }
  }
  return isObject(value) ? memberComplaint(schema, value) : undefined;
}

function memberComplaint(schema: Schema, value: Record<string, unknown>): Complaint | undefined {
  for (const [name, member] of Object.entries(value)) {
    const known = schemaOf(schema, name);
    const complaint = known && complaintOf(known, member, name);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function schemaOf({ properties = {}, patternProperties = {} }: Schema, name: string): Schema | undefined {
  if (Object.hasOwn(properties, name)) return properties[name];
  return Object.entries(patternProperties).find(([pattern]) => new RegExp(pattern).test(name))?.[1];
}

function typeWords({ type }: Schema, value: unknown): string | undefined {
  if (type === undefined) return undefined;
  const types = typeof type === "string" ? [type] : type;
  if (types.some(name => TYPES[name](value))) return undefined;
  return `${pythonRepr(value)} is not of type ${types.map(name => `'${name}'`).join(", ")}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<TypeName, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: value => typeof value === "string",
  integer: value => Number.isInteger(value),
  number: value => typeof value === "number",
  boolean: value => typeof value === "boolean",
  null: value => value === null,
};

function enumWords({ enum: choices }: Schema, value: unknown): string | undefined {
  if (choices === undefined || choices.includes(value)) return undefined;
  return `${pythonRepr(value)} is not one of ${pythonRepr(choices)}`;
}

function ownWords(schema: Schema, value: unknown): string | undefined {
  if (typeof value === "string") return stringWords(schema, value);
  if (typeof value === "number") return numberWords(schema, value);
  if (Array.isArray(value)) return arrayWords(schema, value);
  return isObject(value) ? objectWords(schema, value) : undefined;
}

function stringWords({ minLength, maxLength, pattern }: Schema, value: string): string | undefined {
  const shown = pythonRepr(value);
  if (minLength !== undefined && value.length < minLength) return `${shown} is too short`;
  if (maxLength !== undefined && value.length > maxLength) return `${shown} is too long`;
  if (pattern === undefined || new RegExp(pattern, "u").test(value)) return undefined;
  return `${shown} does not match ${pythonRepr(pattern)}`;
}

function numberWords({ minimum, maximum }: Schema, value: number): string | undefined {
  if (minimum !== undefined && value < minimum) return `${value} is less than the minimum of ${minimum}`;
  if (maximum !== undefined && value > maximum) return `${value} is greater than the maximum of ${maximum}`;
  return undefined;
}

function arrayWords({ minItems, maxItems }: Schema, value: readonly unknown[]): string | undefined {
  if (minItems !== undefined && value.length < minItems) return `${pythonRepr(value)} is too short`;
  return maxItems !== undefined && value.length > maxItems ? `${pythonRepr(value)} is too long` : undefined;
}

function objectWords(schema: Schema, value: Record<string, unknown>): string | undefined {
  const missing = schema.required?.find(name => !Object.hasOwn(value, name));
  if (missing !== undefined) return `'${missing}' is a required property`;
  if (schema.additionalProperties !== false) return undefined;
  const extra = Object.keys(value).filter(name => schemaOf(schema, name) === undefined);
  if (extra.length === 0) return undefined;
  const names = extra.map(name => pythonRepr(name)).join(", ");
  return `Additional properties are not allowed (${names} ${extra.length === 1 ? "was" : "were"} unexpected)`;
}
