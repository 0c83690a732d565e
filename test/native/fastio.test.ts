/** The file primitives on real files: in the temporary folder, and on tmpfs (/dev/shm) where it matters. */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nativeFiles } from "../../agent/os/native-files.js";

const KIB = 1024;
const MIB = 1024 * KIB;

const files = nativeFiles();
let directory: string;
let handles: FileHandle[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ferry-fastio-"));
  handles = [];
});

afterEach(async () => {
  await Promise.all(handles.map(handle => handle.close()));
  await rm(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);

async function opened(file: string, flags: string | number = "w+"): Promise<FileHandle> {
  const handle = await open(file, flags);
  handles.push(handle);
  return handle;
}

/** 8 MiB with 1 MiB of data at 2 MiB and 100 bytes at the very end. */
async function sparseFile(name: string): Promise<FileHandle> {
  const handle = await opened(path(name));
  await handle.truncate(8 * MIB);
  await handle.write(randomBytes(MIB), 0, MIB, 2 * MIB);
  await handle.write(randomBytes(100), 0, 100, 8 * MIB - 100);
  return handle;
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "no error",
    (error: NodeJS.ErrnoException) => error.code,
  );

describe("extents", () => {
  it("are where the data is", async () => {
    const { fd } = await sparseFile("sparse");
    expect(await files.extents(fd, 0, 8 * MIB)).toEqual([
      { start: 2 * MIB, end: 3 * MIB },
      { start: 8 * MIB - 4 * KIB, end: 8 * MIB },
    ]);
  });

  it("are cut at the range asked for", async () => {
    const { fd } = await sparseFile("sparse");
    const asked = await files.extents(fd, 2.5 * MIB, MIB);
    expect(asked).toEqual([{ start: 2.5 * MIB, end: 3 * MIB }]);
    expect(await files.extents(fd, 4 * MIB, MIB)).toEqual([]);
  });

  it("change with punched holes, zeroed ranges and allocation", async () => {
    const handle = await sparseFile("sparse");
    await files.punchHole(handle.fd, 2 * MIB, MIB);
    expect(await files.extents(handle.fd, 0, 8 * MIB)).toHaveLength(1);
    await files.zeroRange(handle.fd, 8 * MIB - 4 * KIB, 4 * KIB);
    expect((await readFile(path("sparse"))).every(byte => byte === 0)).toBe(true);
    await files.allocate(handle.fd, 0, 16 * MIB);
    expect((await files.facts(handle.fd)).sizeBytes).toBe(16 * MIB);
    expect((await files.facts(handle.fd)).allocatedBytes).toBeGreaterThanOrEqual(16 * MIB);
  });
});

describe("copies", () => {
  it("copy ranges, and say how much there was", async () => {
    const source = await sparseFile("sparse");
    const target = await opened(path("copy"));
    expect(await files.copyRange(source.fd, 2 * MIB, target.fd, 0, MIB)).toBe(MIB);
    expect(await files.copyRange(source.fd, 8 * MIB - 100, target.fd, MIB, MIB)).toBe(100);
    const all = await readFile(path("sparse"));
    expect(
      (await readFile(path("copy"))).equals(
        Buffer.concat([all.subarray(2 * MIB, 3 * MIB), all.subarray(8 * MIB - 100)]),
      ),
    ).toBe(true);
  });

  it("by reflink succeed or say that the file system cannot", async () => {
    const source = await sparseFile("sparse");
    const target = await opened(path("copy"));
    expect(["no error", "EOPNOTSUPP"]).toContain(await codeOf(files.clone(source.fd, target.fd)));
  });

  it("reject like Node's own fs", async () => {
    await expect(files.punchHole(999_999, 0, 1)).rejects.toMatchObject({
      code: "EBADF",
      errno: -9,
      syscall: "fallocate",
    });
  });
});

describe("facts", () => {
  it("agree with Node's stat and keep the identity over a rename", async () => {
    const handle = await sparseFile("sparse");
    const before = await files.facts(handle.fd);
    const stat = await handle.stat({ bigint: true });
    expect(before).toMatchObject({
      inode: String(stat.ino),
      sizeBytes: 8 * MIB,
      allocatedBytes: Number(stat.blocks) * 512,
      mtimeNs: String(stat.mtimeNs),
      ctimeNs: String(stat.ctimeNs),
      birthNs: String(stat.birthtimeNs),
    });
    await files.renameNoReplace(path("sparse"), path("moved"));
    const after = await files.facts((await opened(path("moved"), "r")).fd);
    expect([after.device, after.inode, after.birthNs]).toEqual([before.device, before.inode, before.birthNs]);
  });

  it("tell the file system and its free bytes", async () => {
    const { fd } = await sparseFile("sparse");
    const { freeBytes, totalBytes } = await files.fileSystem(fd);
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThan(freeBytes);
    const tmpfs = await opened("/dev/shm", constants.O_RDONLY);
    expect((await files.fileSystem(tmpfs.fd)).magic).toBe(0x01021994);
  });

  it("tell the alignment for direct I/O, or zeros", async () => {
    const { fd } = await sparseFile("sparse");
    const { memory, offset } = await files.directAlignment(fd);
    expect(offset % 512).toBe(0);
    expect(memory).toBeLessThanOrEqual(4096);
  });
});

describe("locks", () => {
  it("grant a write lease only to the sole opener, and notice when somebody else comes", async () => {
    const mine = await sparseFile("disk");
    expect(await files.takeWriteLease(mine.fd)).toBe(true);
    expect(await files.holdsWriteLease(mine.fd)).toBe(true);
    // Somebody else's open waits until the lease is given up, or fails when it will not wait.
    expect(
      await codeOf(open(path("disk"), constants.O_RDWR | constants.O_NONBLOCK).then(other => other.close())),
    ).toBe("EAGAIN");
    expect(await files.holdsWriteLease(mine.fd)).toBe(false);
  });

  it("refuse a write lease on a file that is open elsewhere", async () => {
    const mine = await sparseFile("disk");
    await opened(path("disk"), "r");
    expect(await files.takeWriteLease(mine.fd)).toBe(false);
  });

  it("exclude a second holder of QEMU's range and of flock, until the descriptor is closed", async () => {
    const first = await open(path("disk"), "w+");
    const second = await opened(path("disk"), "r+");
    expect(await files.takeQemuLock(first.fd)).toBe(true);
    expect(await files.takeQemuLock(second.fd)).toBe(false);
    expect(await files.lockExclusive(first.fd)).toBe(true);
    expect(await files.lockExclusive(second.fd)).toBe(false);
    await first.close();
    expect(await files.takeQemuLock(second.fd)).toBe(true);
    expect(await files.lockExclusive(second.fd)).toBe(true);
  });
});

describe("names", () => {
  it("are never replaced by a rename", async () => {
    await writeFile(path("a"), "a");
    await writeFile(path("b"), "b");
    expect(await codeOf(files.renameNoReplace(path("a"), path("b")))).toBe("EEXIST");
    expect(await readFile(path("b"), "utf8")).toBe("b");
    await mkdir(path("folder"));
    await files.renameNoReplace(path("a"), join(path("folder"), "a"));
    expect(await readFile(join(path("folder"), "a"), "utf8")).toBe("a");
  });

  it("cannot lead out of their directory", async () => {
    await mkdir(path("pool"));
    await writeFile(path("secret"), "secret");
    await symlink(path("secret"), join(path("pool"), "link"));
    const pool = await opened(path("pool"), constants.O_RDONLY);
    const attempt = (name: string) => codeOf(files.openBeneath(pool.fd, name, constants.O_RDONLY, 0));
    expect(await attempt("../secret")).toBe("EXDEV");
    expect(await attempt("/etc/passwd")).toBe("EXDEV");
    expect(await attempt("link")).toBe("ELOOP");
    const made = await files.openBeneath(pool.fd, "new", constants.O_RDWR | constants.O_CREAT, 0o600);
    expect((await files.facts(made)).sizeBytes).toBe(0);
    await (await opened(`/proc/self/fd/${made}`, "r")).stat();
  });
});

describe("notify", () => {
  it("reaches the service manager's socket as one datagram", async () => {
    const socket = path("notify");
    const receive = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound", flush=True); print(s.recv(100).decode())`;
    const manager = spawn("python3", ["-c", receive, socket], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: manager.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe("bound");
    await files.notify(socket, "READY=1");
    expect((await lines.next()).value).toBe("READY=1");
  });

  it("rejects when nobody listens", async () => {
    expect(await codeOf(files.notify(path("nobody"), "READY=1"))).toBe("ENOENT");
  });
});
