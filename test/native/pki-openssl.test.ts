/** Certificates of `ferry pki` before a judge that is not ours. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../unit/cli/shell.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-pki-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const openssl = (...words: string[]) => execFileSync("openssl", words, { encoding: "utf8" });

describe("ferry pki", () => {
  it("issues certificates that openssl verifies for both ends of a connection", async () => {
    expect(await run(["pki", "init", "--dir", folder])).toMatchObject({ code: 0, error: "" });
    const addresses = ["--address", "10.0.0.1", "--address", "h1.example.org"];
    await run(["pki", "issue", "agent", "h1", "--dir", folder, "--out", join(folder, "h1"), ...addresses]);
    const certificate = join(folder, "h1/agent.crt");
    for (const purpose of ["sslserver", "sslclient"]) {
      const words = [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        join(folder, "ca.crt"),
        certificate,
      ];
      expect(openssl(...words)).toContain(": OK");
    }
    const names = openssl("x509", "-in", certificate, "-noout", "-ext", "subjectAltName");
    expect(names).toContain("URI:spiffe://ferry/agent/h1, IP Address:10.0.0.1, DNS:h1.example.org");
  });
});
