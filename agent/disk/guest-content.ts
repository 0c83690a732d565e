/**
 * What the guest sees of an image, as a digest: read through QEMU's block layer, read-only, with every format of the
 * chain given (SAFETY R11, R19). Two images with one digest hold the same bytes, however differently they are stored.
 *
 * It is a digest tree like that of a file, over the first `lengthBytes` of the guest's disk.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { DigestTree, Files } from "../os/files.js";
import type { RunTool } from "../os/tool.js";
import { leafRanges } from "../transfer/digest-tree.js";
import { LEAF_BYTES } from "../transfer/protocol.js";
import { explicitImage } from "./explicit-image.js";
import type { ImageLayer } from "./image-rules.js";
import { type NbdReader, openNbd } from "./nbd-reader.js";

export interface GuestContent {
  readonly algorithm: string;
  readonly digest: string;
  /** Is everything behind `lengthBytes` zeros, by the image's own word? */
  readonly isZeroBehind: boolean;
}

interface Edges {
  readonly runTool: RunTool;
  readonly files: Pick<Files, "newDigestTree">;
}

const MAP_TIMEOUT_MS = 10 * 60_000;
const READ_TIMEOUT_MS = 24 * 60 * 60_000;
const SOCKET_DEADLINE_MS = 10_000;
const SOCKET_POLL_MS = 20;
const READ_LEAVES = 16;

export async function guestContent(
  edges: Edges,
  chain: readonly ImageLayer[],
  lengthBytes: number,
  signal?: AbortSignal,
): Promise<GuestContent> {
  const data = await dataExtents(edges.runTool, chain, signal);
  const tree = edges.files.newDigestTree(lengthBytes);
  tree.setZero(0, tree.leafCount);
  const within = data.filter(({ start }) => start < lengthBytes);
  if (within.length > 0) {
    await withExport(edges.runTool, chain, signal, async reader => {
      for (const { first, count } of leafRanges(within, { first: 0, count: tree.leafCount })) {
        for (let leaf = first; leaf < first + count; leaf += READ_LEAVES) {
          signal?.throwIfAborted();
          await hashLeaves(reader, tree, leaf, Math.min(READ_LEAVES, first + count - leaf));
        }
      }
    });
  }
  return {
    algorithm: tree.algorithm,
    digest: tree.root().toString("hex"),
    isZeroBehind: data.every(({ end }) => end <= lengthBytes),
  };
}

async function hashLeaves(reader: NbdReader, tree: DigestTree, first: number, count: number): Promise<void> {
  const start = first * LEAF_BYTES;
  const bytes = await reader.read(start, Math.min(count * LEAF_BYTES, tree.sizeBytes - start));
  await tree.hash(first, bytes);
}

const mapSchema = z.array(
  z.object({ start: z.number(), length: z.number(), zero: z.boolean(), data: z.boolean() }),
);

/** Where the image holds anything but zeros. */
async function dataExtents(runTool: RunTool, chain: readonly ImageLayer[], signal: AbortSignal | undefined) {
  const argv = ["qemu-img", "map", "--output=json", explicitImage(chain)] as const;
  const said = await runTool(argv, limits(MAP_TIMEOUT_MS, signal));
  return mapSchema
    .parse(JSON.parse(said))
    .filter(({ data, zero }) => data && !zero)
    .map(({ start, length }) => ({ start, end: start + length }));
}

/** The server ends by itself when its only client has gone. */
async function withExport(
  runTool: RunTool,
  chain: readonly ImageLayer[],
  signal: AbortSignal | undefined,
  body: (reader: NbdReader) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ferry-nbd-"));
  const socketPath = join(folder, "socket");
  const ended = new AbortController();
  const anyEnd = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const argv = ["qemu-nbd", "--read-only", `--socket=${socketPath}`, explicitImage(chain)] as const;
  const server = runTool(argv, limits(READ_TIMEOUT_MS, anyEnd));
  try {
    const read = readFrom(socketPath, anyEnd, body);
    // A server that cannot open the image says why; one that has served its only client just ends.
    await Promise.race([read, server.then(() => read)]);
  } finally {
    ended.abort();
    await server.catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

async function readFrom(
  socketPath: string,
  signal: AbortSignal,
  body: (reader: NbdReader) => Promise<void>,
): Promise<void> {
  await using reader = await whenListening(socketPath, signal);
  await body(reader);
}

async function whenListening(socketPath: string, signal: AbortSignal): Promise<NbdReader> {
  const deadlineMs = performance.now() + SOCKET_DEADLINE_MS;
  for (;;) {
    try {
      return await openNbd(socketPath, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() > deadlineMs) throw error;
      await pause(SOCKET_POLL_MS, undefined, { signal });
    }
  }
}

const limits = (timeoutMs: number, signal: AbortSignal | undefined) =>
  signal === undefined ? { timeoutMs } : { timeoutMs, signal };
