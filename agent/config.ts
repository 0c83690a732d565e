/**
 * The agent's configuration: `/etc/ferry/agent.toml`, one TOML file, checked whole before anything starts.
 * An unknown key is refused with its name: a typing error must not silently mean the default.
 */

import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { z } from "zod";
import { Fault } from "../proto/fault.js";

const endpoint = z.string().regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, "must be host:port");
const absolute = z.string().startsWith("/", "must be an absolute path");

const schema = z.strictObject({
  /** This host's name; the certificate must say the same. */
  host: z.string().regex(/^[a-zA-Z0-9._-]{1,255}$/),
  controller: endpoint,
  /** Where controllers reach this agent. */
  listen: endpoint,
  /** What is told to the controller; default: `listen`. */
  advertise: endpoint.optional(),
  /** Address for disk data; its own network where there is one. */
  migration_address: z.string(),
  data_port: z.number().int().min(1).max(65_535).default(7402),
  metrics_listen: endpoint.optional(),
  state_dir: absolute.default("/var/lib/ferry"),
  run_dir: absolute.default("/run/ferry"),
  /** Folders in which disks and images may lie; nothing outside is opened. The first is where new disks go. */
  image_dirs: z.array(absolute).min(1).default(["/var/lib/libvirt/images"]),
  libvirt_uri: z.string().default("qemu:///system"),
  hook_dir: absolute.default("/etc/libvirt/hooks/qemu.d"),
  /** What new servers run on; `qemu` is software emulation. */
  virt_type: z.enum(["kvm", "qemu"]).default("kvm"),
  /** Overbooking and reserve, as Nova names them. */
  cpu_allocation_ratio: z.number().positive().default(4),
  ram_allocation_ratio: z.number().positive().default(1),
  disk_allocation_ratio: z.number().positive().default(1),
  reserved_host_memory_mb: z.number().int().nonnegative().default(512),
  reserved_host_disk_mb: z.number().int().nonnegative().default(1024),
  log_level: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  tls: z.strictObject({ ca: absolute, cert: absolute, key: absolute }),
});

export type AgentConfig = z.infer<typeof schema>;

export function parseAgentConfig(text: string, origin: string): AgentConfig {
  const raw = parseToml(text, origin);
  const checked = schema.safeParse(raw);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(issue => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new Fault("invalid-argument", `${origin}: ${issues.join("; ")}`);
}

export function readAgentConfig(path: string): AgentConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Fault(
      "not-found",
      `read ${path}: ${asMessage(error)}`,
      { fix: "pass --config FILE" },
      { cause: error },
    );
  }
  return parseAgentConfig(text, path);
}

function parseToml(text: string, origin: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new Fault("invalid-argument", `${origin}: ${asMessage(error)}`, {}, { cause: error });
  }
}

const asMessage = (error: unknown): string => (error instanceof Error ? error.message : String(error));
