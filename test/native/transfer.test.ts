/** Files between two agents over real TLS and real files: what arrives, what stays sparse, what a receipt says. */

import { randomBytes } from "node:crypto";
import { access, open, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestFile } from "../../agent/transfer/digest-file.js";
import { forgetTransfer } from "../../agent/transfer/incoming-file.js";
import type { TransferProgress } from "../../agent/transfer/progress.js";
import {
  allocatedBytes,
  areEqual,
  createWorld,
  files,
  KIB,
  MIB,
  type World,
  writeSparse,
} from "./support/transfer-world.js";

let world: World;

beforeEach(async () => {
  world = await createWorld();
});

afterEach(async () => {
  await world.dispose();
});

async function copy(names: readonly string[], connections: number) {
  const { listener, port } = await world.listener();
  const incoming = await Promise.all(names.map(name => world.incoming(name)));
  const reports: TransferProgress[] = [];
  const expectation = world.expect(listener, incoming, {
    onProgress: (p: TransferProgress) => reports.push(p),
  });
  const summary = await world.send(port, names, { connections });
  return { receipt: await expectation.done, summary, reports, incoming };
}

describe.each([1, 2, 4])("over %i connections", connections => {
  it("files arrive byte for byte, whatever their size", async () => {
    const sizes = { empty: 0, one: 1, short: 4095, leaf: 256 * KIB, odd: 5 * MIB + 777, large: 70 * MIB + 1 };
    for (const [name, size] of Object.entries(sizes)) await writeFile(world.source(name), randomBytes(size));
    const names = Object.keys(sizes);
    const { receipt, summary } = await copy(names, connections);
    for (const name of names) {
      expect(await areEqual(world.source(name), world.target(name))).toBe(true);
      const file = receipt.files.find(({ id }) => id === name);
      expect(file?.rootDigest).toBe(summary.rootDigests.get(name));
      expect(file?.rootDigest).toBe((await digestFile(files, world.source(name))).rootDigest);
    }
  });

  it("holes stay holes and are not sent", async () => {
    await writeSparse(world.source("disk"), 256 * MIB + 333, [
      [64 * KIB, 10 * KIB],
      [100 * MIB + 123, 3 * MIB],
      [256 * MIB, 333],
    ]);
    const { receipt, summary } = await copy(["disk"], connections);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(await allocatedBytes(world.target("disk"))).toBeLessThan(4 * MIB);
    expect(summary.wireBytes).toBeLessThan(3.5 * MIB);
    expect(receipt.files[0]?.holeBytes).toBeGreaterThan(250 * MIB);
  });
});

describe("a finished copy", () => {
  it("turns zeros inside data into holes", async () => {
    const ragged = Buffer.alloc(16 * MIB, 0); // each leaf begins and ends with data
    for (let at = 0; at < ragged.length; at += 256 * KIB) {
      ragged.fill(1, at, at + KIB);
      ragged.fill(2, at + 255 * KIB, at + 256 * KIB);
    }
    const content = Buffer.concat([randomBytes(MIB), Buffer.alloc(20 * MIB), ragged, Buffer.alloc(MIB)]);
    await writeFile(world.source("disk"), content);
    await copy(["disk"], 2);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(await allocatedBytes(world.target("disk"))).toBeLessThan(2 * MIB);
  });

  it("has its permissions, and leaves only a journal, until that is forgotten", async () => {
    await writeFile(world.source("nvram"), randomBytes(100 * KIB));
    const { incoming } = await copy(["nvram"], 1);
    expect((await stat(world.target("nvram"))).mode & 0o777).toBe(0o640);
    expect(await readdir(`${world.directory}/target`)).toEqual(["nvram", "nvram.part-m1.journal"]);
    await forgetTransfer(incoming, "m1");
    expect(await readdir(`${world.directory}/target`)).toEqual(["nvram"]);
  });

  it("was read back from the device where the file system lets us", async () => {
    await writeFile(world.source("disk"), randomBytes(MIB));
    const { receipt } = await copy(["disk"], 1);
    const [magic, alignment] = await inspect(world.target("disk"));
    const expected = magic === 0xef53 && alignment > 0 ? "direct-local" : "cache";
    expect(receipt.files[0]?.readBackMode).toBe(expected);
  });

  it("was reported with its bytes at the end", async () => {
    await writeSparse(world.source("disk"), 40 * MIB, [[0, 10 * MIB]]);
    const { reports } = await copy(["disk"], 2);
    expect(reports.at(-1)).toMatchObject({
      totalBytes: 40 * MIB,
      doneBytes: 10 * MIB,
      skippedBytes: 30 * MIB,
      files: [{ id: "disk", totalBytes: 40 * MIB, doneBytes: 40 * MIB }],
    });
  });
});

async function inspect(path: string): Promise<readonly [number, number]> {
  const handle = await open(path);
  const magic = (await files.fileSystem(handle.fd)).magic;
  const { offset } = await files.directAlignment(handle.fd);
  await handle.close();
  return [magic, offset];
}

it("a copy on tmpfs says that it was read back from the cache only", async () => {
  const onTmpfs = await createWorld("/dev/shm");
  try {
    await writeFile(onTmpfs.source("disk"), randomBytes(3 * MIB));
    const { listener, port } = await onTmpfs.listener();
    const expectation = onTmpfs.expect(listener, [await onTmpfs.incoming("disk")]);
    await onTmpfs.send(port, ["disk"]);
    expect((await expectation.done).files[0]?.readBackMode).toBe("cache");
  } finally {
    await onTmpfs.dispose();
  }
});

it("a sparse terabyte is copied in seconds", async () => {
  await writeFile(world.source("disk"), "x");
  await truncate(world.source("disk"), 1024 * 1024 * MIB);
  const { receipt } = await copy(["disk"], 2);
  expect(receipt.files[0]?.sizeBytes).toBe(1024 * 1024 * MIB);
  await access(world.target("disk"));
}, 20_000);
