/**
 * qemu-img to qemu-nbd, plain and with TLS.
 *
 * With a pre-shared key GnuTLS would take ChaCha20-Poly1305, which costs it twice as much as the whole copy; both ends are
 * held to AES-128-GCM. Out-of-order writes and 16 requests at a time are the best that qemu-img has.
 */

import { randomBytes } from "node:crypto";
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "../stage.js";
import type { Prepared, Row } from "./row.js";

const USER = "bench";
const PRIORITY = "NORMAL:-CIPHER-ALL:+AES-128-GCM";

type Security = "plain" | "tls";

const nbdRow = (security: Security, summary: string): Row => ({
  name: `nbd-${security}`,
  summary,
  needs: ["qemu-nbd", "qemu-img"],
  prepare: stage => prepare(stage, security),
});

export const nbdPlain = nbdRow("plain", "not encrypted, nothing checked");
export const nbdTls = nbdRow("tls", "TLS with AES-128-GCM, transit only");

async function prepare(stage: Stage, security: Security): Promise<Prepared> {
  const port = await stage.freePort();
  const pidFile = join(stage.folder, "qemu-nbd.pid");
  writeFileSync(join(stage.folder, "keys.psk"), `${USER}:${randomBytes(32).toString("hex")}\n`, {
    mode: 0o600,
  });
  writeFileSync(stage.target, "");
  truncateSync(stage.target, stage.sizeBytes);
  const place = ["--bind", stage.network.address, "--port", String(port), "--export-name", "disk"];
  const secured = security === "tls" ? [...credentials(stage, "server"), "--tls-creds", "tls0"] : [];
  const command = ["qemu-nbd", "--pid-file", pidFile, ...place, ...secured, "--format", "raw", stage.target];
  const server = stage.start("target", command);
  await stage.ready(server, () => existsSync(pidFile), "start qemu-nbd");
  return {
    copy: async () => {
      await stage.run("source", convert(stage, port, security));
      return undefined;
    },
    // It ends by itself when its only client has gone.
    settled: () => server.ended,
  };
}

function convert(stage: Stage, port: number, security: Security): string[] {
  const server = `file.server.type=inet,file.server.host=${stage.network.address},file.server.port=${port}`;
  const target = `driver=raw,file.driver=nbd,${server},file.export=disk`;
  const how = ["-n", "--target-is-zero", "-W", "-m", "16", "-f", "raw"];
  if (security === "plain") {
    return ["qemu-img", "convert", ...how, "--target-image-opts", stage.source, target];
  }
  const secured = `${target},file.tls-creds=tls0`;
  const object = credentials(stage, "client");
  return ["qemu-img", "convert", ...how, ...object, "--target-image-opts", stage.source, secured];
}

function credentials(stage: Stage, endpoint: "client" | "server"): string[] {
  const user = endpoint === "client" ? `,username=${USER}` : "";
  const what = `tls-creds-psk,id=tls0,endpoint=${endpoint},dir=${stage.folder}${user},priority=${PRIORITY}`;
  return ["--object", what];
}
