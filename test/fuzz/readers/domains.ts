/** What libvirt says: domains, capabilities, and what is compared of them. */

import { readFileSync } from "node:fs";
import { canonicalXml } from "../../../agent/domain/canonical-xml.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { guestNeeds } from "../../../agent/domain/guest-needs.js";
import { hostPaths } from "../../../agent/domain/host-paths.js";
import { liveDifferences } from "../../../agent/domain/live-differences.js";
import { parseCapabilities } from "../../../agent/probe/capabilities.js";
import { parseDomainCapabilities } from "../../../agent/probe/domain-capabilities.js";
import { type Reader, text } from "../reader.js";

const fixture = (path: string): Buffer => readFileSync(new URL(`../../fixtures/${path}`, import.meta.url));

const DOMAINS = ["everything", "inactive", "live", "defined", "live-hotplug"].map(name =>
  fixture(`domain/${name}.xml`),
);

export const DOMAIN_READERS: readonly Reader[] = [
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
];
