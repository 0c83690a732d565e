/** The files that the hook reads. */

import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { guestFiles, rebuildDenials } from "../../../agent/fence/guest-file.js";
import { clearRanMark, readRanMark } from "../../../agent/fence/ran-mark.js";
import { clearStartTokens, withStartToken } from "../../../agent/fence/start-token.js";
import { SERVER, SOURCE, TARGET } from "./world.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ferry-guests-"));
});
afterEach(() => rm(root, { recursive: true }));

const path = (): string => join(root, "guests", SERVER);

describe("guest files", () => {
  it("are one line that the hook reads, and nothing half-written beside it", async () => {
    const files = guestFiles(root);
    await files.allow(SERVER, SOURCE);
    expect(await readFile(path(), "utf8")).toBe(`allow ${SOURCE}\n`);
    await files.deny(SERVER, "it moved\naway");
    expect(await readFile(path(), "utf8")).toBe("deny it moved away\n");
    expect(await readdir(join(root, "guests"))).toEqual([SERVER]);
    expect((await stat(path())).mode & 0o777).toBe(0o644);
    expect(await files.list()).toEqual([SERVER]);
  });

  it.each(["", "allow", "allow \n", `allow ${SOURCE}`, "perhaps x\n", "deny a\nallow b\n"])(
    "read %j as unreadable",
    async text => {
      await mkdir(join(root, "guests"));
      await writeFile(path(), text);
      expect(await guestFiles(root).read(SERVER)).toEqual({ kind: "unreadable" });
    },
  );

  it("take nothing but a uuid for a name and an incarnation for an allowance", async () => {
    const files = guestFiles(root);
    await expect(files.deny("../../etc/passwd", "x")).rejects.toThrow(/not a uuid/);
    await expect(files.allow(SERVER, "a b")).rejects.toThrow(/not an incarnation/);
  });

  it("are rebuilt where the journal denies, and only there", async () => {
    const files = guestFiles(root);
    const [other, third] = [SERVER.replace(/^1/, "2"), SERVER.replace(/^1/, "3")];
    await files.allow(SERVER, SOURCE);
    await files.allow(other, TARGET);
    await files.deny(third, "kept");
    const denials = [SERVER, other].map(server => ({ server, incarnation: SOURCE, reason: "fenced" }));
    expect(await rebuildDenials(files, denials)).toEqual([SERVER]);
    expect(await files.read(SERVER)).toEqual({ kind: "deny", reason: "fenced" });
    expect(await files.read(other), "refuses the denied incarnation already").toMatchObject({
      kind: "allow",
    });
    expect(await files.read(third), "no row is no reason to lift a denial").toMatchObject({ reason: "kept" });
  });
});

describe("a start token", () => {
  it("is there during the start and gone after it, also when the start fails", async () => {
    const guest = { server: SERVER, incarnation: SOURCE };
    const token = join(root, "starting", SERVER);
    expect(await withStartToken(root, guest, () => readFile(token, "utf8"))).toBe(`${SOURCE}\n`);
    await expect(withStartToken(root, guest, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await readdir(join(root, "starting"))).toEqual([]);
    await writeFile(token, "left over");
    await clearStartTokens(root);
    await expect(stat(token)).rejects.toThrow(/ENOENT/);
  });
});

describe("the mark of a foreign start", () => {
  it("names incarnation and time, and an unreadable one is not read as none", async () => {
    expect(await readRanMark(root, SERVER)).toBeUndefined();
    await mkdir(join(root, "ran"));
    await writeFile(join(root, "ran", SERVER), `${SOURCE} 2026-01-02T03:04:05Z\n`);
    const at = new Date("2026-01-02T03:04:05Z");
    expect(await readRanMark(root, SERVER)).toEqual({ incarnation: SOURCE, at });
    await writeFile(join(root, "ran", SERVER), "");
    await expect(readRanMark(root, SERVER)).rejects.toThrow(/does not say/);
    await clearRanMark(root, SERVER);
    expect(await readRanMark(root, SERVER)).toBeUndefined();
  });
});
