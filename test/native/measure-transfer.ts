/**
 * How fast is the copier, against `cp --sparse=always` on the same files?
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist
 *   node_modules/.bin/node dist/test/native/measure-transfer.js FOLDER [MIB]
 *
 * Both ends are processes of their own on this machine. FOLDER says what is measured: on tmpfs the processors, on a
 * disk the disk as well. Prints wall seconds, CPU seconds of both ends, and the ratio of the walls, for a random and a sparse file.
 */

import { execFileSync, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { nativeFiles } from "../../agent/os/native-files.js";
import type { TlsMaterial } from "../../agent/transfer/channel.js";
import { sendFiles } from "../../agent/transfer/source.js";
import { TransferListener } from "../../agent/transfer/target.js";
import { createTestAuthority } from "./support/test-pki.js";

const MIB = 1024 * 1024;
const common = { migrationId: "bench", serverId: "bench", epoch: 1, token: "0".repeat(64) };
const clock = { nowMs: () => Date.now() };
const log = { info: () => {}, warn: () => {} };

interface TargetOrder {
  readonly tls: TlsMaterial;
  readonly path: string;
  readonly sizeBytes: number;
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** The child: receives one file, then says how much CPU that took. */
async function receive({ tls, path, sizeBytes }: TargetOrder): Promise<void> {
  const listener = new TransferListener({ tls: () => tls, files: nativeFiles(), clock, log });
  const { port } = await listener.listen("127.0.0.1", 0);
  const file = { id: "disk", targetPath: path, sizeBytes, mode: 0o600 };
  const { done } = listener.expect({ ...common, sourceHost: "h1", files: [file] });
  const beforeSeconds = cpuSeconds();
  process.send?.(port);
  const { files } = await done;
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
  process.send?.({ cpuSeconds: cpuSeconds() - beforeSeconds, mode: files[0]?.readBackMode, peakMib });
  await listener.close();
  process.disconnect();
}

async function writeData(path: string, sizeBytes: number, everyBytes: number): Promise<void> {
  const handle = await open(path, "w");
  await handle.truncate(sizeBytes);
  for (let at = 0; at < sizeBytes; at += everyBytes) await handle.write(randomBytes(MIB), 0, MIB, at);
  await handle.sync();
  await handle.close();
}

async function measure(folder: string, name: string, connections: number, sizeBytes: number): Promise<void> {
  const authority = await createTestAuthority();
  const source = join(folder, name);
  const path = join(folder, `${name}-${connections}`);
  const child = fork(import.meta.filename, ["target"]);
  child.send({ tls: await authority.agent("h2"), path, sizeBytes } satisfies TargetOrder);
  const [port] = (await once(child, "message")) as [number];
  const tls = await authority.agent("h1");
  const startedMs = performance.now();
  const beforeSeconds = cpuSeconds();
  const finished = once(child, "message");
  await sendFiles(
    { files: nativeFiles(), clock, log },
    {
      ...common,
      address: "127.0.0.1",
      port,
      expectHost: "h2",
      tls: () => tls,
      files: [{ id: "disk", path: source }],
      connections,
    },
  );
  const wall = (performance.now() - startedMs) / 1000;
  const cpu = cpuSeconds() - beforeSeconds;
  const [theirs] = (await finished) as [{ cpuSeconds: number; mode: string; peakMib: number }];
  execFileSync("cmp", [source, path]);
  const copyStartedMs = performance.now();
  execFileSync("cp", ["--sparse=always", source, `${path}.cp`]);
  execFileSync("sync", [`${path}.cp`]);
  const copyWall = (performance.now() - copyStartedMs) / 1000;
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(
    `${name}, ${connections} connections, read back ${theirs.mode}: ${wall.toFixed(2)} s, ` +
      `CPU ${cpu.toFixed(2)} + ${theirs.cpuSeconds.toFixed(2)} s, peak ${peakMib} + ${theirs.peakMib} MiB; ` +
      `cp and sync ${copyWall.toFixed(2)} s; ratio ${(wall / copyWall).toFixed(1)}\n`,
  );
  await rm(path);
  await rm(`${path}.cp`);
}

async function main(parent: string, mib: number): Promise<void> {
  const folder = await mkdtemp(join(parent, "ferry-bench-"));
  try {
    await writeData(join(folder, "random"), mib * MIB, MIB);
    await writeData(join(folder, "sparse"), 8 * mib * MIB, 8 * MIB);
    for (const connections of [1, 2]) {
      await measure(folder, "random", connections, mib * MIB);
      await measure(folder, "sparse", connections, 8 * mib * MIB);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (process.argv[2] === "target") process.once("message", order => void receive(order as TargetOrder));
else await main(process.argv[2] ?? "/tmp", Number(process.argv[3] ?? 1024));
