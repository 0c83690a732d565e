/** The agent's configuration: `/etc/ferry/agent.toml`. */

import { z } from "zod";
import { parseCpuSet } from "../proto/range-list.js";
import { CUSTOM_CLASS } from "../proto/resource-classes.js";
import { absolutePath, endpoint, logLevel, parseConfig, readConfig, tlsPaths } from "../proto/toml-config.js";
import { COMPRESSION_POLICIES } from "./transfer/compression.js";

const cpuSet = z
  .string()
  .refine(text => parseCpuSet(text) !== undefined, "must be a set of CPUs such as 0-3,^1,8");
const hexadecimal = (digits: string) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `must be ${digits} hexadecimal digits`);

/**
 * Devices that may be given to guests, and the name by which a flavor asks for them (`pci_passthrough:alias`). What is
 * not said fits every device.
 */
const pciAlias = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
  vendor_id: hexadecimal("4").optional(),
  product_id: hexadecimal("4").optional(),
  /** Base class, or base and sub-class, or all six digits. */
  class: z
    .string()
    .regex(/^([0-9a-f]{2}){1,3}$/)
    .optional(),
  /** Of the device, or of its physical function; `*` for any digits: 0000:81:00.* */
  address: z
    .string()
    .regex(/^[0-9a-f*:.]{1,16}$/)
    .optional(),
  device_type: z.enum(["type-PCI", "type-PF", "type-VF"]).optional(),
  numa_policy: z.enum(["required", "preferred", "legacy", "socket"]).default("legacy"),
  /** The network behind it: its devices also serve ports of that network. */
  physical_network: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/)
    .optional(),
});

export type PciAlias = z.infer<typeof pciAlias>;

const ssh = z.strictObject({
  port: z.number().int().min(1).max(65_535).default(22),
  user: z.string().regex(/^[a-z_][a-z0-9_.-]{0,31}$/),
  /** A private key without passphrase, for nobody else to read. */
  key_file: absolutePath,
  /** The targets' host keys, in the format of OpenSSH. */
  known_hosts_file: absolutePath.default("/etc/ferry/ssh_known_hosts"),
});

export type SshConfig = z.infer<typeof ssh>;

export const agentConfigSchema = z
  .strictObject({
    /** This host's name; the certificate must say the same. */
    host: z.string().regex(/^[a-zA-Z0-9._-]{1,255}$/),
    /** Or several that share a store: all of them are told. */
    controller: z.union([endpoint, z.array(endpoint).min(1)]),
    /** Where controllers reach this agent. */
    listen: endpoint,
    /** What is told to the controller; default: `listen`. */
    advertise: endpoint.optional(),
    /** Address for disk data; its own network where there is one. */
    migration_address: z.string(),
    data_port: z.number().int().min(1).max(65_535).default(7402),
    /** For all disks that leave this host together; 0 is no limit. */
    bandwidth_limit_mib_per_second: z.number().nonnegative().default(0),
    /** Of disk data that leaves this host: `auto` only while the link is the bottleneck. */
    compression: z.enum(COMPRESSION_POLICIES).default("auto"),
    metrics_listen: endpoint.optional(),
    state_dir: absolutePath.default("/var/lib/ferry"),
    run_dir: absolutePath.default("/run/ferry"),
    /** Folders in which disks and images may lie; nothing outside is opened. The first is where new disks go. */
    image_dirs: z.array(absolutePath).min(1).default(["/var/lib/libvirt/images"]),
    /** Block devices that disks may lie on: paths below /dev, `*` for what holds no slash. */
    block_devices: z
      .array(z.string().regex(/^\/dev\/[^/]+(\/[^/]+)*$/, "must be a path below /dev"))
      .default(["/dev/disk/by-id/*", "/dev/mapper/*"]),
    /** What other hosts call a bridge or a network → what this one calls it: "bridge:br0" = "br1". */
    network_map: z.record(z.string().regex(/^(bridge|network):[^/]+$/), z.string().min(1)).default({}),
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
    /** CPUs for guests without dedicated ones; default: all, or none where a dedicated set is given. */
    cpu_shared_set: cpuSet.optional(),
    /** CPUs of which each serves one vCPU alone; default: none. */
    cpu_dedicated_set: cpuSet.optional(),
    pci_alias: z.array(pciAlias).default([]),
    /** What else flavors can book here by `resources:CLASS=N`. */
    custom_resources: z
      .record(
        z.string().regex(CUSTOM_CLASS),
        z
          .number()
          .int()
          .positive()
          .max(2 ** 31 - 1),
      )
      .default({}),
    /** Hosts of one cell share storage and networks; a server crosses cells only where the policy allows it. */
    cell: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{0,64}$/)
      .default(""),
    /** KiB/s that may be guaranteed to ports, by network or bridge. */
    port_bandwidth: z.record(z.string(), z.number().int().positive()).default({}),
    /** Disk data leaves through the target's sshd instead of straight to its data port. */
    ssh: ssh.optional(),
    log_level: logLevel.default("info"),
    tls: tlsPaths,
  })
  .refine(hasDisjointCpuSets, { path: ["cpu_dedicated_set"], message: "has CPUs of cpu_shared_set" });

function hasDisjointCpuSets(config: {
  cpu_shared_set?: string | undefined;
  cpu_dedicated_set?: string | undefined;
}): boolean {
  const shared = parseCpuSet(config.cpu_shared_set ?? "") ?? [];
  const dedicated = parseCpuSet(config.cpu_dedicated_set ?? "") ?? [];
  return !shared.some(cpu => dedicated.includes(cpu));
}

export type AgentConfig = z.infer<typeof agentConfigSchema>;

export const parseAgentConfig = (text: string, origin: string): AgentConfig =>
  parseConfig(agentConfigSchema, text, origin);

export const readAgentConfig = (path: string): AgentConfig => readConfig(agentConfigSchema, path);
