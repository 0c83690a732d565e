/** The controller's configuration: `/etc/ferry/controller.toml`. */

import { z } from "zod";
import { absolutePath, endpoint, logLevel, parseConfig, readConfig, tlsPaths } from "../proto/toml-config.js";

const seconds = z.number().int().nonnegative();

export const controllerConfigSchema = z.strictObject({
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
  /** Whether a resize may choose the host that the server is on. Nova's name and default. */
  allow_resize_to_same_host: z.boolean().default(false),
  policy_file: absolutePath.optional(),
  log_level: logLevel.default("info"),
  tls: tlsPaths,
});

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;

export const parseControllerConfig = (text: string, origin: string): ControllerConfig =>
  parseConfig(controllerConfigSchema, text, origin);

export const readControllerConfig = (path: string): ControllerConfig =>
  readConfig(controllerConfigSchema, path);

/** Path of the SQLite file. */
export const storePathOf = ({ store }: ControllerConfig): string => store.slice("sqlite://".length);
