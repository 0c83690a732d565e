/** The agent's configuration: `/etc/ferry/agent.toml`. */

import { z } from "zod";
import { absolutePath, endpoint, logLevel, parseConfig, readConfig, tlsPaths } from "../proto/toml-config.js";

export const agentConfigSchema = z.strictObject({
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
  state_dir: absolutePath.default("/var/lib/ferry"),
  run_dir: absolutePath.default("/run/ferry"),
  /** Folders in which disks and images may lie; nothing outside is opened. The first is where new disks go. */
  image_dirs: z.array(absolutePath).min(1).default(["/var/lib/libvirt/images"]),
  libvirt_uri: z.string().default("qemu:///system"),
  hook_dir: absolutePath.default("/etc/libvirt/hooks/qemu.d"),
  /** What new servers run on; `qemu` is software emulation. */
  virt_type: z.enum(["kvm", "qemu"]).default("kvm"),
  /** What a target's CPU must have: everything that the source's has (`node`), or what the guest sees (`guest`). */
  cpu_check: z.enum(["node", "guest"]).default("node"),
  /** Overbooking and reserve, as Nova names them. */
  cpu_allocation_ratio: z.number().positive().default(4),
  ram_allocation_ratio: z.number().positive().default(1),
  disk_allocation_ratio: z.number().positive().default(1),
  reserved_host_memory_mb: z.number().int().nonnegative().default(512),
  reserved_host_disk_mb: z.number().int().nonnegative().default(1024),
  log_level: logLevel.default("info"),
  tls: tlsPaths,
});

export type AgentConfig = z.infer<typeof agentConfigSchema>;

export const parseAgentConfig = (text: string, origin: string): AgentConfig =>
  parseConfig(agentConfigSchema, text, origin);

export const readAgentConfig = (path: string): AgentConfig => readConfig(agentConfigSchema, path);
