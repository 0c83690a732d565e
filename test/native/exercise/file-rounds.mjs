/** Every call of the file addon, some of them failing, and under a sanitizer a leak check at the end. */

import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const fastio = createRequire(import.meta.url)(process.argv[2]);
const rounds = Number(process.argv[3]);
const MIB = 2 ** 20;
const directory = mkdtempSync(join(tmpdir(), "ferry-rounds-"));
const path = name => join(directory, name);
const failing = work =>
  work.then(
    () => undefined,
    () => undefined,
  );

async function oneRound() {
  writeFileSync(path("a"), Buffer.alloc(3 * MIB + 5, 7), { flush: true });
  const a = openSync(path("a"), "r+");
  const b = openSync(path("b"), "w+");
  const folder = openSync(directory, constants.O_RDONLY);
  await fastio.punchHole(a, MIB, MIB);
  await fastio.zeroRange(a, 0, 4096);
  await fastio.allocate(b, 0, MIB);
  await fastio.extents(a, 0, 3 * MIB);
  await fastio.copyRange(a, 0, b, 0, MIB);
  await failing(fastio.clone(a, b));
  await fastio.dropCache(a, 0, 0);
  await Promise.all([fastio.facts(a), fastio.fileSystem(a), fastio.directAlignment(a)]);
  await fastio.takeWriteLock(a, 100, 110);
  await fastio.lockExclusive(a);
  await fastio.takeWriteLease(b);
  await fastio.holdsWriteLease(b);
  closeSync(await fastio.openBeneath(folder, "a", constants.O_RDONLY, 0));
  await failing(fastio.openBeneath(folder, "../a", constants.O_RDONLY, 0));
  await failing(fastio.notify(path("no-socket"), "READY=1"));
  await fastio.renameNoReplace(path("a"), path("c"));
  for (const fd of [a, b, folder]) closeSync(fd);
  rmSync(path("c"));
}

try {
  for (let round = 0; round < rounds; round++) await oneRound();
} finally {
  rmSync(directory, { recursive: true });
}
if (fastio.leakCheck?.() === false) process.exit(23);
