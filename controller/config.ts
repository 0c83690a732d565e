/** The controller's configuration: `/etc/ferry/controller.toml`. */

import { z } from "zod";
import { absolutePath, endpoint, logLevel, parseConfig, readConfig, tlsPaths } from "../proto/toml-config.js";
import { filterSchedulerSchema } from "./scheduler/settings.js";

const seconds = z.number().int().nonnegative();

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a UUID");

/** The Nova-compatible REST API; absent: there is none. */
const restSchema = z
  .strictObject({
    listen: endpoint,
    /** `none`: everybody is an administrator; on loopback only. */
    auth: z.enum(["credentials", "none"]).default("credentials"),
    credentials: absolutePath.optional(),
    /** With the controller's own certificate. Without, on loopback only. */
    tls: z.boolean().default(true),
    images: z
      .array(
        z.strictObject({
          id: uuid,
          name: z.string().min(1),
          path: absolutePath,
          format: z.enum(["qcow2", "raw"]),
        }),
      )
      .default([]),
    network: z.strictObject({ type: z.enum(["bridge", "network"]), source: z.string().min(1) }).optional(),
  })
  .refine(({ auth, listen }) => auth !== "none" || isLoopback(listen), {
    path: ["auth"],
    message: "none is for a loopback address only",
  })
  .refine(({ tls, listen }) => tls || isLoopback(listen), {
    path: ["tls"],
    message: "false is for a loopback address only: passwords would travel in the clear",
  })
  .refine(({ auth, credentials }) => auth === "none" || credentials !== undefined, {
    path: ["credentials"],
    message: "names the credential file; required unless auth is none",
  });

export type RestConfig = z.infer<typeof restSchema>;

const isLoopback = (address: string): boolean => /^(127\.\d+\.\d+\.\d+|\[::1\]):\d+$/.test(address);

export const controllerConfigSchema = z.strictObject({
  name: z.string().min(1),
  listen: endpoint,
  metrics_listen: endpoint.optional(),
  store: z
    .string()
    .regex(
      /^(sqlite:\/\/\/|postgres(ql)?:\/\/).+$/,
      "must be sqlite:///PATH or postgres://USER@HOST/DATABASE",
    )
    .default("sqlite:///var/lib/ferry-controller/controller.db"),
  /** PostgreSQL with standbys that are not synchronous: serve although a failover could forget what was committed. */
  store_allow_lossy_failover: z.boolean().default(false),
  /** Seconds after which other controllers on the same store take over from one that died. */
  lease_seconds: z.number().min(1).max(3600).default(15),
  /** Seconds after which a migration in its verify window confirms itself; 0 = never. Nova's name. */
  resize_confirm_window: seconds.default(0),
  /** Seconds for which a guest may be off before its migration unwinds. */
  max_downtime_seconds: seconds.default(3600),
  /** Seconds that a guest is given to shut down. Nova's name. */
  shutdown_timeout: seconds.default(60),
  /** Targets tried before a migration is given up. Nova's name. */
  max_attempts: z.number().int().min(1).max(20).default(3),
  max_concurrent_migrations: z.number().int().min(0).max(100_000).default(0),
  max_concurrent_migrations_per_host: z.number().int().min(0).max(1_000).default(4),
  /** Whether a resize may choose the host that the server is on. Nova's name and default. */
  allow_resize_to_same_host: z.boolean().default(false),
  /** So many events are kept for whoever comes late. */
  events_kept: z.number().int().min(100).max(1_000_000).default(10_000),
  filter_scheduler: filterSchedulerSchema.optional(),
  policy_file: absolutePath.optional(),
  rest: restSchema.optional(),
  log_level: logLevel.default("info"),
  tls: tlsPaths,
});

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;

export const parseControllerConfig = (text: string, origin: string): ControllerConfig =>
  parseConfig(controllerConfigSchema, text, origin);

export const readControllerConfig = (path: string): ControllerConfig =>
  readConfig(controllerConfigSchema, path);

/** Path of the SQLite file; nothing for PostgreSQL. */
export const storePathOf = ({ store }: ControllerConfig): string | undefined =>
  store.startsWith("sqlite:") ? store.slice("sqlite://".length) : undefined;
