/**
 * A configuration file: TOML, checked whole against a schema before anything starts. Every complaint names the file
 * and the key; an unknown key is one, because a typing error must not silently mean the default.
 */

import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { z } from "zod";
import { Fault } from "./fault.js";

export const endpoint = z.string().regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, "must be host:port");
export const absolutePath = z.string().startsWith("/", "must be an absolute path");
export const logLevel = z.enum(["trace", "debug", "info", "warn", "error"]);
export const tlsPaths = z.strictObject({
  ca: absolutePath,
  cert: absolutePath,
  key: absolutePath,
  revoked: absolutePath.optional(),
});

export function parseConfig<T>(schema: z.ZodType<T>, text: string, origin: string): T {
  const checked = schema.safeParse(parseToml(text, origin));
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(issue => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new Fault("invalid-argument", `${origin}: ${issues.join("; ")}`);
}

export function readConfig<T>(schema: z.ZodType<T>, path: string): T {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Fault(
      "not-found",
      `read ${path}: ${messageOf(error)}`,
      { fix: "pass --config FILE" },
      { cause: error },
    );
  }
  return parseConfig(schema, text, path);
}

function parseToml(text: string, origin: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new Fault("invalid-argument", `${origin}: ${messageOf(error)}`, {}, { cause: error });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
