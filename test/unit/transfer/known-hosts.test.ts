/** Host keys in the format of OpenSSH; the hashed lines are from `ssh-keygen -H`. */

import { expect, it } from "vitest";
import { fingerprintOf, hostKeysOf } from "../../../agent/transfer/known-hosts.js";

const KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIObOv70SfSVE09+tLXNHT5jtVOU+s84ReOgy0s2nvlHJ";
const OTHER = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY=";
const ED25519 = { type: "ssh-ed25519", key: KEY };

it.each([
  ["a plain name", `h2 ssh-ed25519 ${KEY} a comment`, 22],
  ["one name of several, by address", `web,10.0.0.2 ssh-ed25519 ${KEY}`, 22],
  ["a hashed name", `|1|YAJ7Ex8301m2EFKfmmEGS3uxoKE=|9N2PrIB8b4fQtJ+VHcASOwJJZtY= ssh-ed25519 ${KEY}`, 22],
  ["another port", `[h2]:2222 ssh-ed25519 ${KEY}`, 2222],
  [
    "a hashed address at another port",
    `|1|XEbOySrqLv9Mz9yZM/jja/I7Wkg=|eNkaLOokLS8RV2+U/l8g3EU1Owk= ssh-ed25519 ${KEY}`,
    2222,
  ],
])("a host is known by %s", (_name, line, port) => {
  const text = `# comment\n\n${line}\nh3 ecdsa-sha2-nistp256 ${OTHER}\n`;
  expect(hostKeysOf(text, ["h2", "10.0.0.2"], port)).toEqual({ known: [ED25519], revoked: [] });
});

it.each([
  ["another host", `h22 ssh-ed25519 ${KEY}`],
  ["a key for another port", `[h2]:2222 ssh-ed25519 ${KEY}`],
  ["a wildcard", `* ssh-ed25519 ${KEY}`],
  ["an authority", `@cert-authority h2 ssh-ed25519 ${KEY}`],
  ["a comment", `#h2 ssh-ed25519 ${KEY}`],
  ["a hash of another name", `|1|YAJ7Ex8301m2EFKfmmEGS3uxoKE=|AAAA ssh-ed25519 ${KEY}`],
])("a host is not known by %s", (_name, text) => {
  expect(hostKeysOf(text, ["h2"], 22).known).toEqual([]);
});

it("a revoked key is revoked whatever name it is said of", () => {
  const text = `h2 ssh-ed25519 ${KEY}\n@revoked * ssh-ed25519 ${KEY}`;
  expect(hostKeysOf(text, ["h2"], 22)).toEqual({ known: [ED25519], revoked: [ED25519] });
});

it("a fingerprint is the one that ssh-keygen prints", () => {
  expect(fingerprintOf(Buffer.from(KEY, "base64"))).toBe(
    "SHA256:+jagOdOzM2pYoQAFxJukUXvrhLLX1X2wKFn8VNBj4g0",
  );
});
