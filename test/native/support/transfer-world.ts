/** Two agents' data planes on one machine: a folder for each side, a listener, and senders that may be disturbed. */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeEngine } from "../../../agent/os/engine.js";
import { nativeFiles } from "../../../agent/os/native-files.js";
import type { TlsMaterial } from "../../../agent/transfer/channel.js";
import type { IncomingFile } from "../../../agent/transfer/incoming-file.js";
import { createToken } from "../../../agent/transfer/messages.js";
import { type SendDeps, type SendRequest, sendFiles } from "../../../agent/transfer/source.js";
import { type Expectation, type ListenerDeps, TransferListener } from "../../../agent/transfer/target.js";
import { createTestAuthority, type TestAuthority } from "./test-pki.js";

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const files = nativeFiles();
export const engine = nativeEngine();
export const clock = { nowMs: () => Date.now() };
export const silent = { info: () => {}, warn: () => {} };

export interface World {
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly sourceTls: TlsMaterial;
  readonly targetTls: TlsMaterial;
  readonly token: string;
  source(name: string): string;
  target(name: string): string;
  listener(deps?: Partial<ListenerDeps>): Promise<{ listener: TransferListener; port: number }>;
  incoming(name: string, more?: Partial<IncomingFile>): Promise<IncomingFile>;
  expect(listener: TransferListener, incoming: readonly IncomingFile[], more?: object): Expectation;
  send(
    port: number,
    names: readonly string[],
    more?: Partial<SendRequest>,
    deps?: Partial<SendDeps>,
  ): ReturnType<typeof sendFiles>;
  dispose(): Promise<void>;
}

const quickLimits = { idleMs: 2000, connectMs: 2000, attempts: 4, retryDelayMs: 20 };

export async function createWorld(parent = tmpdir()): Promise<World> {
  const directory = await mkdtemp(join(parent, "ferry-transfer-"));
  await mkdir(join(directory, "source"));
  await mkdir(join(directory, "target"));
  const authority = await createTestAuthority();
  const [sourceTls, targetTls] = [await authority.agent("h1"), await authority.agent("h2")];
  const token = createToken();
  const listeners: TransferListener[] = [];
  const source = (name: string) => join(directory, "source", name);
  const target = (name: string) => join(directory, "target", name);
  return {
    directory,
    authority,
    sourceTls,
    targetTls,
    token,
    source,
    target,
    listener: async deps => {
      const limits = { idleMs: 2000, handshakeMs: 2000, absentMs: 5000 };
      const listener = new TransferListener({
        tls: () => targetTls,
        engine,
        files,
        clock,
        log: silent,
        limits,
        ...deps,
      });
      listeners.push(listener);
      return { listener, ...(await listener.listen("127.0.0.1", 0)) };
    },
    incoming: async (name, more = {}) => {
      const { size } = await stat(source(name));
      return { id: name, targetPath: target(name), sizeBytes: size, mode: 0o640, ...more };
    },
    expect: (listener, incoming, more = {}) =>
      listener.expect({
        migrationId: "m1",
        serverId: "s1",
        epoch: 1,
        token,
        sourceHost: "h1",
        files: incoming,
        ...more,
      }),
    send: (port, names, more = {}, deps = {}) =>
      sendFiles(
        { engine, files, clock, log: silent, ...deps },
        {
          address: "127.0.0.1",
          port,
          tls: () => sourceTls,
          expectHost: "h2",
          migrationId: "m1",
          serverId: "s1",
          epoch: 1,
          token,
          files: names.map(name => ({ id: name, path: source(name) })),
          limits: quickLimits,
          ...more,
        },
      ),
    dispose: async () => {
      await Promise.all(listeners.map(listener => listener.close()));
      await rm(directory, { recursive: true });
    },
  };
}

/** A file of this size with random data at these [offset, length] places and holes elsewhere. */
export async function writeSparse(
  path: string,
  sizeBytes: number,
  places: readonly (readonly [number, number])[],
): Promise<void> {
  const handle = await open(path, "w");
  await handle.truncate(sizeBytes);
  for (const [offset, length] of places) await handle.write(randomBytes(length), 0, length, offset);
  await handle.close();
}

/** Compared by a tool that shares no code with what is tested. */
export async function areEqual(one: string, other: string): Promise<boolean> {
  const child = spawn("cmp", ["--silent", one, other]);
  const [code] = await once(child, "exit");
  return code === 0;
}

/** Bytes that the file really occupies. */
export const allocatedBytes = async (path: string): Promise<number> => (await stat(path)).blocks * 512;

/** The fault code that a promise rejects with; "resolved" when it does not. */
export const faultOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "resolved",
    (thrown: { code?: string }) => thrown.code ?? String(thrown),
  );

/** Waits for a condition, with a deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 30_000,
): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
