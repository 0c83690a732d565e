/** What operators wrote: configuration, policy, lists, and the names in certificates. */

import { X509Certificate } from "node:crypto";
import { parseAgentConfig } from "../../../agent/config.js";
import { hostKeysOf } from "../../../agent/transfer/known-hosts.js";
import { parseControllerConfig } from "../../../controller/config.js";
import { Policy } from "../../../controller/policy/policy.js";
import { parseIdentity } from "../../../proto/identity.js";
import { parseRevoked } from "../../../proto/revocation.js";
import { parseServerAddress } from "../../../proto/server-address.js";
import { type Reader, text } from "../reader.js";

const TLS = `[tls]\nca = "/ca"\ncert = "/cert"\nkey = "/key"\n`;
const AGENT = `host = "h1"\ncontroller = "c:7400"\nlisten = "0.0.0.0:7401"\nmigration_address = "10.0.0.1"\nimage_dirs = ["/var/lib/libvirt/images"]\n${TLS}`;
const CONTROLLER = `name = "c1"\nlisten = "0.0.0.0:7400"\nresize_confirm_window = 60\n${TLS}[rest]\nlisten = "127.0.0.1:8774"\ncredentials = "/c"\n`;
const POLICY = `"os_compute_api:os-migrate-server:migrate" = "admin"\n"os_compute_api:servers:resize" = "member"\n`;
const KNOWN_HOSTS = `h2,10.0.0.2 ssh-ed25519 AAAAC3Nz\n|1|c2FsdA==|aGFzaA== ssh-rsa AAAA\n@revoked * ssh-rsa BBBB\n`;

export const SETTINGS_READERS: readonly Reader[] = [
  { name: "agent.toml", documents: [Buffer.from(AGENT)], read: text(toml => parseAgentConfig(toml, "fuzz")) },
  {
    name: "controller.toml",
    documents: [Buffer.from(CONTROLLER)],
    read: text(toml => parseControllerConfig(toml, "fuzz")),
  },
  { name: "policy file", documents: [Buffer.from(POLICY)], read: text(toml => Policy.parse(toml)) },
  {
    name: "identity",
    documents: [
      "URI:spiffe://ferry/agent/h1, DNS:h1",
      "URI:spiffe://ferry/user/ada, URI:urn:ferry:role:admin",
    ].map(names => Buffer.from(names)),
    read: text(name => parseIdentity(name, "ferry")),
  },
  {
    name: "list of revoked certificates",
    documents: [Buffer.from(`# lost\n${Array(32).fill("AB").join(":")} # ada\n`)],
    read: text(list => parseRevoked(list, "fuzz")),
  },
  {
    name: "known_hosts",
    documents: [Buffer.from(KNOWN_HOSTS)],
    read: text(lines => hostKeysOf(lines, ["h2"], 22)),
  },
  {
    name: "address",
    documents: [Buffer.from("[::1]:7400"), Buffer.from("controller.example:7400")],
    read: text(address => parseServerAddress(address, 7400)),
  },
];

/** Whose certificate is as it came; the names in it are what is believed. */
export const certificateReader = (certificate: Buffer): Reader => ({
  name: "certificate",
  documents: [new X509Certificate(certificate).raw],
  read: der => parseIdentity(new X509Certificate(der).subjectAltName, "ferry"),
  throws: /asn1|PEM|d2i|bad|too long|header|wrong|invalid|unsupported|decode|length|error:/i,
});
