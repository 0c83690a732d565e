/** Verifying a receipt on a host: real files and digests, what may be accused and what may not. */

import { appendFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { nativeEngine } from "../../agent/os/engine.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { digestFile } from "../../agent/transfer/digest-file.js";
import { verifyFiles } from "../../agent/verify-files.js";
import { CopiedFile, type FileVerdict } from "../../proto/gen/ferry/v1/model.js";
import { Certificates } from "../unit/proto/certificates.js";
import { Host, SERVER } from "../unit/verbs/host.js";

const CONTENT = "the disk of web-3 ".repeat(100_000);

let certificates: Certificates;
let host: Host;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());
beforeEach(async () => {
  host = await Host.make("h2", certificates, { files: nativeFiles() });
  await host.hypervisor.define(host.domainXml());
});
afterEach(() => host[Symbol.dispose]());

async function received(id = "vda/0", name = "images/web-3/disk", algorithm = "sha256"): Promise<CopiedFile> {
  const path = host.write(name, CONTENT);
  const { rootDigest, sizeBytes } = await digestFile(nativeFiles(), path, { algorithm });
  const digest = { algorithm, digest: rootDigest, atMs: Date.now() };
  return CopiedFile.create({ id, path, mode: "copied", sizeBytes, ...digest });
}

async function verified(...files: CopiedFile[]): Promise<FileVerdict[]> {
  const verdicts: FileVerdict[] = [];
  const signal = new AbortController().signal;
  for await (const { verdict } of verifyFiles({ serverId: SERVER, files }, signal, host.world))
    if (verdict !== undefined) verdicts.push(verdict);
  return verdicts;
}

/** One byte changed by something that is not a write: the time of modification stays. */
function rot(path: string): void {
  const { atime, mtime } = statSync(path);
  writeFileSync(path, CONTENT.replace("d", "D"));
  utimesSync(path, atime, mtime);
}

describe("a received file", () => {
  it("that is as it was received is equal, with what was read and how", async () => {
    const file = await received();
    const [verdict] = await verified(file);
    expect(verdict).toMatchObject({ outcome: "equal", found: file.digest, expected: file.digest });
    expect(verdict?.readBack).toMatch(/^(direct-local|cache)$/);
  });

  it("is read with the algorithm of its receipt, whichever this host prefers", async () => {
    for (const algorithm of nativeEngine().algorithms) {
      const file = await received("vda/0", `images/${algorithm}`, algorithm);
      expect(await verified(file)).toMatchObject([{ outcome: "equal", algorithm, found: file.digest }]);
    }
  });

  it("that changed without being written to differs", async () => {
    const file = await received();
    rot(file.path);
    const [verdict] = await verified(file);
    expect(verdict).toMatchObject({
      outcome: "differs",
      reason: expect.stringContaining("not written to since"),
    });
    expect(verdict?.found).not.toBe(file.digest);
  });

  it("that was written to since is not accused", async () => {
    const file = await received();
    appendFileSync(file.path, "what the guest wrote");
    utimesSync(file.path, new Date(), new Date(file.atMs + 1000));
    expect(await verified(file)).toMatchObject([{ outcome: "changed" }]);
  });

  it("of a guest that runs is not read; its backing file is", async () => {
    const [file, base] = [await received(), await received("vda/1", "images/base.qcow2")];
    await host.settle();
    expect(await verified(file, base)).toMatchObject([
      { outcome: "in-use", found: "" },
      { outcome: "equal", found: base.digest },
    ]);
  });

  it("that is gone is missing", async () => {
    const file = await received();
    rmSync(file.path);
    expect(await verified(file)).toMatchObject([{ outcome: "missing" }]);
  });

  it("is not looked for outside the image folders, nor through a link out of them", async () => {
    const file = await received();
    expect(await verified({ ...file, path: "/etc/passwd" })).toMatchObject([
      { outcome: "unread", found: "" },
    ]);
    symlinkSync("/etc/passwd", host.at("images/link"));
    const link = { ...file, path: host.at("images/link") };
    expect(await verified(link)).toMatchObject([{ outcome: "unread", found: "" }]);
  });

  it("without a digest, or with one that this host cannot compute, is said to be so", async () => {
    const file = await received();
    const swap = { ...file, algorithm: "", digest: "swap uuid 1" };
    expect(await verified(swap, { ...file, algorithm: "sha512" })).toMatchObject([
      { outcome: "exempt" },
      { outcome: "unread", reason: expect.stringContaining("sha512") },
    ]);
  });
});
