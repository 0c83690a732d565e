/** What the ssh carrier reads is judged before anybody is dialled. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseAgentConfig } from "../../../agent/config.js";
import { dialTarget } from "../../../agent/verbs/dial-target.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-ssh-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const carrier = () => {
  const at = (name: string) => JSON.stringify(join(folder, name));
  const text = `host = "h1"
controller = "ctl:7400"
listen = "h1:7401"
migration_address = "127.0.0.1"
tls = { ca = "/ca", cert = "/cert", key = "/key" }
[ssh]
port = 1
user = "ferry"
key_file = ${at("key")}
known_hosts_file = ${at("known")}`;
  const material = { ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: Buffer.alloc(0) };
  const world = { config: parseAgentConfig(text, "test"), tls: { material } };
  return dialTarget(world as unknown as Parameters<typeof dialTarget>[0]).carrier;
};
const reach = () =>
  carrier()?.reach({ address: "127.0.0.1", port: 2, expectHost: "h2" }, 1000, new AbortController().signal);

it("a file that is missing, and a key that others may read, are refused with what to do", async () => {
  await expect(reach()).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("known") });
  writeFileSync(join(folder, "known"), "[h2]:1 ssh-ed25519 AAAA\n");
  await expect(reach()).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("key") });
  writeFileSync(join(folder, "key"), "not a key");
  chmodSync(join(folder, "key"), 0o640);
  await expect(reach()).rejects.toMatchObject({
    code: "refused",
    detail: { have: "mode 640", need: "mode 600" },
  });
  chmodSync(join(folder, "key"), 0o600);
  await expect(reach()).rejects.toMatchObject({
    code: "refused",
    message: expect.stringContaining("is no key"),
  });
});
