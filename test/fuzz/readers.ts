/**
 * Readers of what others wrote, given what nobody wrote: they answer, or refuse with a fault or an error of their own
 * format's reader; they never fail in a way that nobody meant, and never take long.
 *
 * Inputs are real documents with bytes changed, taken out, doubled and put in, and now and then nothing but chance.
 */

import { readFileSync } from "node:fs";
import { parseAgentConfig } from "../../agent/config.js";
import { readExtFileSystem } from "../../agent/disk/ext-file-system.js";
import { readQcow2Header } from "../../agent/disk/qcow2-header.js";
import { judgeSwap, swapHeader } from "../../agent/disk/swap.js";
import { canonicalXml } from "../../agent/domain/canonical-xml.js";
import { readDomain } from "../../agent/domain/domain-xml.js";
import { guestNeeds } from "../../agent/domain/guest-needs.js";
import { hostPaths } from "../../agent/domain/host-paths.js";
import { liveDifferences } from "../../agent/domain/live-differences.js";
import { parseCapabilities } from "../../agent/probe/capabilities.js";
import { parseDomainCapabilities } from "../../agent/probe/domain-capabilities.js";
import {
  decodeError,
  decodeHello,
  decodeOpen,
  decodeWelcome,
  encodeError,
  encodeHello,
  encodeOpen,
  encodeWelcome,
} from "../../agent/transfer/messages.js";
import { parseControllerConfig } from "../../controller/config.js";
import { Fault } from "../../proto/fault.js";
import { PerformRequest } from "../../proto/gen/ferry/v1/agent.js";
import { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { parseIdentity } from "../../proto/identity.js";
import { parseRevoked } from "../../proto/revocation.js";

export interface Reader {
  readonly name: string;
  /** Real ones, to begin from. */
  readonly documents: readonly Buffer[];
  readonly read: (bytes: Buffer) => unknown;
  /** Errors that a reader of this format throws by design, beside faults. */
  readonly throws?: RegExp;
}

const fixture = (path: string): Buffer => readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
const text = (body: (text: string) => unknown) => (bytes: Buffer) => body(bytes.toString("utf8"));

const DOMAINS = ["everything", "inactive", "live", "defined", "live-hotplug"].map(name =>
  fixture(`domain/${name}.xml`),
);

const AGENT = `host = "h1"\ncontroller = "c:7400"\nlisten = "0.0.0.0:7401"\nmigration_address = "10.0.0.1"\nimage_dirs = ["/var/lib/libvirt/images"]\n[tls]\nca = "/ca"\ncert = "/cert"\nkey = "/key"\n`;
const CONTROLLER = `name = "c1"\nlisten = "0.0.0.0:7400"\nresize_confirm_window = 60\n[tls]\nca = "/ca"\ncert = "/cert"\nkey = "/key"\n`;

export const READERS: readonly Reader[] = [
  {
    name: "domain XML",
    documents: DOMAINS,
    read: text(xml => {
      const domain = readDomain(xml);
      return [guestNeeds(domain), hostPaths(domain.root)];
    }),
  },
  { name: "canonical XML", documents: DOMAINS, read: text(xml => canonicalXml(xml)) },
  {
    name: "live and stored XML",
    documents: DOMAINS,
    read: text(xml => liveDifferences((DOMAINS[1] ?? Buffer.alloc(0)).toString(), xml)),
  },
  { name: "capabilities", documents: [fixture("libvirt/capabilities.xml")], read: text(parseCapabilities) },
  {
    name: "domain capabilities",
    documents: [fixture("libvirt/domain-capabilities-kvm-q35.xml")],
    read: text(parseDomainCapabilities),
  },
  { name: "qcow2 header", documents: [qcow2()], read: bytes => readQcow2Header(bytes) },
  { name: "ext superblock", documents: [Buffer.alloc(2048, 0xef)], read: bytes => readExtFileSystem(bytes) },
  {
    name: "swap header",
    documents: [
      swapHeader({
        lastPage: 255,
        uuid: "11111111-2222-4333-8444-555555555556",
        label: "swap",
        byteOrder: "little",
      }),
    ],
    read: bytes => judgeSwap(bytes, bytes, 1024 * 1024),
  },
  { name: "agent.toml", documents: [Buffer.from(AGENT)], read: text(toml => parseAgentConfig(toml, "fuzz")) },
  {
    name: "controller.toml",
    documents: [Buffer.from(CONTROLLER)],
    read: text(toml => parseControllerConfig(toml, "fuzz")),
  },
  {
    name: "identity",
    documents: [Buffer.from("URI:spiffe://ferry/agent/h1, DNS:h1, URI:urn:ferry:role:admin")],
    read: text(name => parseIdentity(name, "ferry")),
  },
  {
    name: "list of revoked certificates",
    documents: [Buffer.from(`# lost\n${Array(32).fill("AB").join(":")} # ada\n`)],
    read: text(list => parseRevoked(list, "fuzz")),
  },
  { name: "hello of a transfer", documents: [hello()], read: bytes => decodeHello(bytes) },
  {
    name: "welcome of a transfer",
    documents: [encodeWelcome({ algorithm: "blake3", compression: "none" })],
    read: bytes => decodeWelcome(bytes),
  },
  { name: "file of a transfer", documents: [open()], read: bytes => decodeOpen(bytes) },
  {
    name: "error of a transfer",
    documents: [encodeError(new Fault("corrupt", "what was read back differs", { have: "a", need: "b" }))],
    read: bytes => decodeError(bytes, "h2"),
  },
  {
    name: "PerformRequest",
    documents: [
      Buffer.from(
        PerformRequest.encode(PerformRequest.fromPartial({ key: "k", serverId: "s", epoch: 3 })).finish(),
      ),
    ],
    read: bytes => PerformRequest.decode(bytes),
    throws: /premature EOF|index out of range|invalid|illegal|cant skip|groups|recursion depth/i,
  },
  {
    name: "HeartbeatRequest",
    documents: [
      Buffer.from(
        HeartbeatRequest.encode(HeartbeatRequest.fromPartial({ host: "h1", epochs: { a: 1 } })).finish(),
      ),
    ],
    read: bytes => HeartbeatRequest.decode(bytes),
    throws: /premature EOF|index out of range|invalid|illegal|cant skip|groups|recursion depth/i,
  },
];

function hello(): Buffer {
  const claims = {
    purpose: "copy",
    migrationId: "m1",
    serverId: "s1",
    epoch: 2,
    attempt: "0".repeat(32),
    connection: 0,
    files: ["vda/0"],
    algorithms: ["blake3", "sha256"],
    compressions: [],
  } as const;
  return encodeHello(
    { ...claims, files: [...claims.files], algorithms: [...claims.algorithms], compressions: [] },
    "token",
    Buffer.alloc(32),
  );
}

function open(): Buffer {
  const stamp = { device: "8:1", inode: "12", birthNs: "1", mtimeNs: "2", ctimeNs: "3" };
  return encodeOpen({ sizeBytes: 1_073_741_824, dataBytes: 4096, stamp });
}

/** A header that is right, to begin from. */
function qcow2(): Buffer {
  const header = Buffer.alloc(512);
  header.write("QFI\xfb", 0, "latin1");
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(1_073_741_824n, 24);
  header.writeUInt32BE(104, 100);
  return header;
}

/** What is wrong with how a reader took these bytes; undefined when nothing is. */
export function complaintAbout({ name, read, throws }: Reader, bytes: Buffer): string | undefined {
  const startedMs = performance.now();
  try {
    read(bytes);
  } catch (error) {
    const isMeant =
      (error instanceof Fault && error.code !== "internal") ||
      (throws !== undefined && error instanceof Error && throws.test(error.message));
    if (!isMeant) return `${name}: ${error instanceof Error ? error.stack : String(error)}`;
  }
  const elapsedMs = performance.now() - startedMs;
  return elapsedMs > SLOW_MS
    ? `${name}: took ${elapsedMs.toFixed(0)} ms for ${bytes.length} bytes`
    : undefined;
}

/** Nothing that is read here may hold a daemon up for as long as this, also on a machine that is busy. */
const SLOW_MS = 2_000;
