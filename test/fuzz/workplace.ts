/**
 * A real folder for readers of real files: a pool with a disk, a pipe, and links that lead out of it, the agent's state, and beside
 * them what nobody may touch, watched by inotify and compared at the end.
 *
 *     <folder>/pool/disk.raw   pool/link → ../outside   pool/shadow → ../outside/shadow
 *     <folder>/state/          <folder>/outside/shadow
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  type FSWatcher,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SECRET = "the-root-password-of-h1";

export class Workplace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ferry-fuzz-"));
  readonly pool = join(this.folder, "pool");
  readonly state = join(this.folder, "state");
  readonly #outside = join(this.folder, "outside");
  readonly #watcher: FSWatcher;
  readonly #before: string;
  readonly #changes: string[] = [];
  readonly #onDispose: (() => void)[] = [];

  constructor() {
    for (const folder of [this.pool, this.state, this.#outside]) mkdirSync(folder);
    writeFileSync(join(this.pool, "disk.raw"), Buffer.alloc(4096, 1));
    writeFileSync(join(this.#outside, "shadow"), SECRET, { mode: 0o600 });
    symlinkSync("../outside", join(this.pool, "link"));
    symlinkSync("../outside/shadow", join(this.pool, "shadow"));
    mkdirSync(join(this.pool, "folder.raw"));
    execFileSync("mkfifo", [join(this.pool, "pipe.raw")]);
    this.#before = this.#traces();
    this.#watcher = watch(this.#outside, (event, name) => this.#changes.push(`${event} of ${name}`));
  }

  read(path: string): Buffer {
    return readFileSync(path);
  }

  onDispose(body: () => void): void {
    this.#onDispose.push(body);
  }

  /** Of an open file: that it is one of the pool's. */
  requireInside(fd: number): void {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    if (!fstatSync(fd).isFile()) throw new Error(`${path} was opened, which is no file`);
    if (!path.startsWith(`${this.pool}/`)) throw new Error(`${path} was opened, which is outside the pool`);
  }

  /** What happened where nothing may. */
  complaints(): string[] {
    const after = this.#traces();
    const differs = after === this.#before ? [] : [`was ${this.#before}\nis ${after}`];
    return [...this.#changes, ...differs].map(what => `outside the pools: ${what}`);
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    for (const body of this.#onDispose) body();
    rmSync(this.folder, { recursive: true });
  }

  #traces(): string {
    const names = [...readdirSync(this.folder), ...readdirSync(this.#outside)];
    const shadow = join(this.#outside, "shadow");
    const { ino, mtimeMs, size } = statSync(shadow);
    const digest = createHash("sha256").update(readFileSync(shadow)).digest("hex");
    return [...names.sort(), ino, mtimeMs, size, digest].join(" ");
  }
}
