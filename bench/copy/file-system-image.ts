/** An ext4 image with ordinary content: files of this machine, two thirds full. Needs no mount. */

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Programs, libraries, texts: what a root disk holds. */
const PLACES = ["/usr/bin", "/usr/share/doc", "/usr/lib", "/usr/share"];

/** `folder` is where the files are gathered; empty before, the caller's to remove. */
export async function makeFileSystemImage(path: string, folder: string, sizeBytes: number): Promise<void> {
  gather(folder, (sizeBytes * 2) / 3);
  writeFileSync(path, "", { mode: 0o600 });
  truncateSync(path, sizeBytes);
  const options = ["-q", "-F", "-t", "ext4", "-N", String(inodesFor(sizeBytes)), "-E", "lazy_itable_init=1"];
  execFileSync("mke2fs", [...options, "-d", folder, path], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Small files need many inodes, more than mke2fs gives a small image. */
const inodesFor = (sizeBytes: number): number => Math.max(1024, Math.floor(sizeBytes / 8192));

function gather(folder: string, budgetBytes: number): void {
  let leftBytes = budgetBytes;
  let leftFiles = inodesFor(budgetBytes) / 2;
  for (const file of filesBelow(PLACES)) {
    const cost = Math.ceil(lstatSync(file).size / 4096) * 4096;
    if (cost > leftBytes / 8) continue;
    const copy = join(folder, file);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
    leftBytes -= cost;
    leftFiles -= 1;
    if (leftBytes < budgetBytes / 50 || leftFiles < 0) return;
  }
}

function* filesBelow(places: readonly string[]): Generator<string> {
  for (const place of places) {
    const entries = entriesOf(place);
    for (const entry of entries) if (entry.isFile()) yield join(place, entry.name);
    yield* filesBelow(entries.filter(entry => entry.isDirectory()).map(entry => join(place, entry.name)));
  }
}

function entriesOf(place: string): Dirent[] {
  try {
    return readdirSync(place, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return []; // not on this machine
  }
}
