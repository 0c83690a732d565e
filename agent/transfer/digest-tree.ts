/**
 * The digest tree of one file: a SHA-256 per 256 KiB leaf and a root over all of them.
 *
 * A leaf of nothing but zeros has the constant digest of 32 zero bytes, so holes need no reading. The root is
 * SHA-256 over (domain, algorithm, file size, leaf size, leaves in order). Leaves become known in any order; memory is
 * 128 KiB per GiB that holds data and next to nothing per GiB of zeros.
 */

import assert from "node:assert";
import { createHash } from "node:crypto";
import { DIGEST_BYTES, LEAF_BYTES } from "./protocol.js";

export const DIGEST_ALGORITHM = "sha256";
export const ZERO_LEAF_DIGEST: Uint8Array = new Uint8Array(DIGEST_BYTES);

export type LeafState = "unknown" | "zero" | "data";

/** Neighbouring leaves of one state; a data run never crosses a page, so it has at most 4,096 leaves. */
export interface LeafRun {
  readonly first: number;
  readonly count: number;
  readonly state: LeafState;
}

const PAGE_LEAVES = 4096;
const STATES: readonly LeafState[] = ["unknown", "zero", "data"];
const [UNKNOWN, ZERO, DATA] = [0, 1, 2] as const;
const ZERO_PAGE = Buffer.alloc(PAGE_LEAVES * DIGEST_BYTES);

interface Page {
  readonly states: Uint8Array;
  readonly digests: Buffer;
}

export const leafCountOf = (sizeBytes: number): number => Math.ceil(sizeBytes / LEAF_BYTES);

/** Length of one leaf; the last of a file may be short. */
export const leafBytesAt = (leaf: number, sizeBytes: number): number =>
  Math.min(LEAF_BYTES, sizeBytes - leaf * LEAF_BYTES);

export class DigestTree {
  readonly sizeBytes: number;
  readonly leafCount: number;
  readonly #pages = new Map<number, Page | "zero">();
  #knownLeaves = 0;
  #dataBytes = 0;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.leafCount = leafCountOf(sizeBytes);
  }

  get isComplete(): boolean {
    return this.#knownLeaves === this.leafCount;
  }

  /** Bytes in known leaves that are not all zero. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  stateOf(leaf: number): LeafState {
    const page = this.#pages.get(Math.floor(leaf / PAGE_LEAVES));
    if (page === undefined) return "unknown";
    return page === "zero" ? "zero" : (STATES[page.states[leaf % PAGE_LEAVES] ?? UNKNOWN] ?? "unknown");
  }

  /** The digest of a known leaf; a view, not a copy. */
  digestOf(leaf: number): Uint8Array | undefined {
    const page = this.#pages.get(Math.floor(leaf / PAGE_LEAVES));
    if (page === undefined || this.stateOf(leaf) === "unknown") return undefined;
    return page === "zero" ? ZERO_LEAF_DIGEST : this.digestsOf({ first: leaf, count: 1, state: "data" });
  }

  /** The digests of a data run one after the other; a view, not a copy. */
  digestsOf(run: LeafRun): Buffer {
    const page = this.#pages.get(Math.floor(run.first / PAGE_LEAVES));
    assert(page !== undefined && page !== "zero", "a data run lies in a page with digests");
    const start = (run.first % PAGE_LEAVES) * DIGEST_BYTES;
    return page.digests.subarray(start, start + run.count * DIGEST_BYTES);
  }

  set(leaf: number, digest: Uint8Array): void {
    assert(leaf >= 0 && leaf < this.leafCount && digest.length === DIGEST_BYTES);
    this.#mark(leaf, Buffer.compare(digest, ZERO_LEAF_DIGEST) === 0 ? ZERO : DATA, digest);
  }

  setZero(first: number, count: number): void {
    assert(first >= 0 && first + count <= this.leafCount);
    const end = first + count;
    for (let leaf = first; leaf < end; ) {
      const index = leaf / PAGE_LEAVES;
      const wholePage = Number.isInteger(index) && leaf + PAGE_LEAVES <= end && !this.#pages.has(index);
      if (wholePage) {
        this.#pages.set(index, "zero");
        this.#knownLeaves += PAGE_LEAVES;
        leaf += PAGE_LEAVES;
      } else {
        this.#mark(leaf, ZERO, ZERO_LEAF_DIGEST);
        leaf += 1;
      }
    }
  }

  /** All leaves as runs in order. */
  *runs(): Generator<LeafRun> {
    let leaf = 0;
    while (leaf < this.leafCount) {
      const run = this.#runFrom(leaf);
      yield run;
      leaf += run.count;
    }
  }

  /** SHA-256 over the whole tree; every leaf must be known. */
  root(): Buffer {
    assert(this.isComplete, "a root needs every leaf");
    const hash = createHash("sha256").update(
      `ferry-digest-tree/1\0${DIGEST_ALGORITHM}\0${this.sizeBytes}\0${LEAF_BYTES}\0`,
    );
    for (let first = 0; first < this.leafCount; first += PAGE_LEAVES) {
      const page = this.#pages.get(first / PAGE_LEAVES);
      const digests = page === undefined || page === "zero" ? ZERO_PAGE : page.digests;
      hash.update(digests.subarray(0, Math.min(PAGE_LEAVES, this.leafCount - first) * DIGEST_BYTES));
    }
    return hash.digest();
  }

  #mark(leaf: number, state: typeof ZERO | typeof DATA, digest: Uint8Array): void {
    const page = this.#pageWithDigests(Math.floor(leaf / PAGE_LEAVES));
    const at = leaf % PAGE_LEAVES;
    const before = page.states[at];
    if (before === UNKNOWN) this.#knownLeaves += 1;
    if (before === DATA) this.#dataBytes -= leafBytesAt(leaf, this.sizeBytes);
    if (state === DATA) this.#dataBytes += leafBytesAt(leaf, this.sizeBytes);
    page.states[at] = state;
    page.digests.set(digest, at * DIGEST_BYTES);
  }

  #pageWithDigests(index: number): Page {
    const known = this.#pages.get(index);
    if (known !== undefined && known !== "zero") return known;
    const fill = known === "zero" ? ZERO : UNKNOWN;
    const page: Page = { states: new Uint8Array(PAGE_LEAVES).fill(fill), digests: Buffer.from(ZERO_PAGE) };
    this.#pages.set(index, page);
    return page;
  }

  #runFrom(first: number): LeafRun {
    const state = this.stateOf(first);
    let end = this.#endWithinPage(first, state);
    // Only a page's own digests are one buffer, so a data run ends with its page; the others may be long.
    if (state === "data") return { first, count: end - first, state };
    while (end % PAGE_LEAVES === 0 && end < this.leafCount && this.stateOf(end) === state) {
      end = this.#endWithinPage(end, state);
    }
    return { first, count: end - first, state };
  }

  #endWithinPage(first: number, state: LeafState): number {
    const index = Math.floor(first / PAGE_LEAVES);
    const pageEnd = Math.min((index + 1) * PAGE_LEAVES, this.leafCount);
    const page = this.#pages.get(index);
    if (page === undefined || page === "zero") return pageEnd;
    let end = first + 1;
    while (end < pageEnd && this.stateOf(end) === state) end += 1;
    return end;
  }
}
