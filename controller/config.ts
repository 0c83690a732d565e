/**
 * The controller's configuration: `/etc/ferry/controller.toml`, checked whole before anything starts. An unknown key
 * is refused with its name.
 */

import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { z } from "zod";
import { asFault, Fault } from "../proto/fault.js";

const endpoint = z.string().regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, "must be host:port");
const absolute = z.string().startsWith("/", "must be an absolute path");
const seconds = z.number().int().nonnegative();

const schema = z.strictObject({
  name: z.string().min(1),
  listen: endpoint,
  metrics_listen: endpoint.optional(),
  store: z
    .string()
    .regex(/^sqlite:\/\/\/.+$/, "must be sqlite:///PATH; PostgreSQL is not supported by this version")
    .default("sqlite:///var/lib/ferry-controller/controller.db"),
  /** Seconds after which a migration in its verify window confirms itself; 0 = never. Nova's name. */
  resize_confirm_window: seconds.default(0),
  /** Seconds for which a guest may be off before its migration unwinds. */
  max_downtime_seconds: seconds.default(3600),
  /** Seconds that a guest is given to shut down. Nova's name. */
  shutdown_timeout: seconds.default(60),
  /** Targets tried before a migration is given up. Nova's name. */
  max_attempts: z.number().int().min(1).max(20).default(3),
  policy_file: absolute.optional(),
  log_level: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  tls: z.strictObject({ ca: absolute, cert: absolute, key: absolute }),
});

export type ControllerConfig = z.infer<typeof schema>;

export function parseControllerConfig(text: string): ControllerConfig {
  const checked = schema.safeParse(parse(text));
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(issue => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new Fault("invalid-argument", issues.join("; "));
}

export function readControllerConfig(path: string): ControllerConfig {
  try {
    return parseControllerConfig(readFileSync(path, "utf8"));
  } catch (error) {
    const fault = asFault(error);
    throw new Fault("invalid-argument", `${path}: ${fault.message}`, fault.detail, { cause: error });
  }
}

/** Path of the SQLite file. */
export const storePathOf = ({ store }: ControllerConfig): string => store.slice("sqlite://".length);
