/**
 * One file on its way in: the engine writes and verifies it beside its final name, here it is opened, measured, and given
 * its name when it is whole.
 *
 * Promises: the final name never holds anything but a complete, verified, durable file; whatever else is found there
 * is left alone. A part of this migration is gone on with if it is of the same source, unchanged; compared leaf by leaf
 * if that has changed; otherwise begun anew.
 */

import { fchmod, fchown } from "node:fs";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { Engine, Part } from "../os/engine.js";
import type { DigestTree } from "../os/files.js";
import { closeFd, syncAll } from "./fd-io.js";
import { fileFault } from "./file-fault.js";
import { partPathOf } from "./incoming-file.js";
import type { OpenRequest } from "./messages.js";
import { type OpenedPart, openPart, type PartPlace } from "./open-part.js";
import type { Counts } from "./progress.js";
import { isDirect, type ReadBackMode } from "./read-back.js";

const setMode = promisify(fchmod);
const setOwner = promisify(fchown);

export class PartFile {
  readonly path: string;
  /** The engine's half. */
  readonly part: Part;
  readonly verified: DigestTree;
  /** What the file holds of an older source, where that is known. */
  readonly older: DigestTree | undefined;
  readonly readBackMode: ReadBackMode;
  readonly #place: PartPlace;
  readonly #opened: OpenedPart;
  #isFinished: boolean;

  private constructor(engine: Engine, place: PartPlace, opened: OpenedPart) {
    this.path = partPathOf(place.incoming, place.migrationId);
    this.verified = opened.content.verified;
    this.older = opened.older;
    this.readBackMode = opened.readBackMode;
    this.#place = place;
    this.#opened = opened;
    this.#isFinished = opened.isFinished;
    this.part = new engine.Part(
      opened.fd,
      opened.journalFd,
      opened.journal.endBytes,
      this.verified,
      this.older,
      engineMode(this.readBackMode),
      hookOf(place, this.path),
    );
  }

  /** Goes on with what an earlier run left, or begins; refuses a final name that is taken by anything else. */
  static async open(engine: Engine, place: PartPlace, request: OpenRequest): Promise<PartFile> {
    const { id, targetPath } = place.incoming;
    try {
      return new PartFile(engine, place, await openPart(place, request));
    } catch (thrown) {
      throw fileFault(thrown, `receive ${id} into ${targetPath}`);
    }
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  counts(): Counts {
    const [doneBytes = 0, skippedBytes = 0] = this.part.counts();
    return { doneBytes, skippedBytes };
  }

  /** Leaves that came out wrong and were asked for again. */
  get askedAgain(): number {
    return this.part.counts()[2] ?? 0;
  }

  /** Bytes that the file system must still find for this file, and has. */
  async space(dataBytes: number): Promise<{ device: string; needBytes: number; freeBytes: number }> {
    const { files } = this.#place;
    const facts = await files.facts(this.#opened.fd);
    const freeBytes = await this.freeBytes();
    const needBytes = this.#isFinished ? 0 : Math.max(0, dataBytes - facts.allocatedBytes);
    return { device: facts.device, needBytes, freeBytes };
  }

  async freeBytes(): Promise<number> {
    return (await this.#place.files.fileSystem(this.#opened.fd)).freeBytes;
  }

  /** The root must match; then owner, permissions, flush, and the final name, unless another pass is to come. */
  async finish(root: Buffer): Promise<void> {
    if (this.#isFinished) return;
    const { incoming, isLastPass } = this.#place;
    if (!this.verified.isComplete) throw new Fault("corrupt", `${incoming.id} is not complete`);
    const have = this.verified.root();
    if (!have.equals(root)) {
      const detail = { have: have.toString("hex"), need: root.toString("hex") };
      throw new Fault("corrupt", `${incoming.id}: root digest differs from the source's`, detail);
    }
    try {
      await this.#opened.journal.recordComplete(root);
      await this.#opened.journal.sync();
      if (isLastPass) await this.#giveName();
      this.#isFinished = true;
    } catch (thrown) {
      throw fileFault(thrown, `give ${this.path} its name ${incoming.targetPath}`);
    }
  }

  async #giveName(): Promise<void> {
    const { incoming, files } = this.#place;
    const { fd } = this.#opened;
    if (incoming.uid !== undefined && incoming.gid !== undefined)
      await setOwner(fd, incoming.uid, incoming.gid);
    await setMode(fd, incoming.mode);
    await syncAll(fd);
    await files.renameNoReplace(this.path, incoming.targetPath);
  }

  async close(): Promise<void> {
    await closeFd(this.#opened.fd);
    await closeFd(this.#opened.journalFd);
  }
}

const engineMode = (mode: ReadBackMode) =>
  mode === "none" ? ("none" as const) : isDirect(mode) ? ("direct" as const) : ("cache" as const);

function hookOf({ beforeReadBack }: PartPlace, path: string): ConstructorParameters<Engine["Part"]>[6] {
  if (beforeReadBack === undefined) return undefined;
  return ({ first, count, done }) => void beforeReadBack(path, { first, count }).finally(done);
}
