/** A fleet's certificates in a temporary folder, made by the real `ferry pki`. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority, issueCertificate, type Pair } from "../../../cli/pki/authority.js";
import { writeIssued } from "../../../cli/pki/pki-folder.js";
import type { Identity } from "../../../proto/identity.js";
import type { TlsPaths } from "../../../proto/tls-files.js";
import { TlsSource } from "../../../proto/tls-source.js";

export class Certificates implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ferry-pki-"));
  readonly authority: Pair;
  readonly domain: string;

  private constructor(authority: Pair, domain: string) {
    this.authority = authority;
    this.domain = domain;
  }

  static async make(domain = "ferry", now = new Date()): Promise<Certificates> {
    return new Certificates(await createAuthority(domain, now), domain);
  }

  async files(identity: Omit<Identity, "domain">, { days = 2, now = new Date() } = {}): Promise<TlsPaths> {
    const whole = { ...identity, domain: this.domain };
    const pair = await issueCertificate(this.authority, {
      identity: whole,
      addresses: ["127.0.0.1", "localhost"],
      days,
      now,
    });
    return writeIssued(join(this.folder, identity.name), identity.kind, pair, this.authority.certPem, true);
  }

  async tls(identity: Omit<Identity, "domain">): Promise<TlsSource> {
    return new TlsSource(await this.files(identity));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
