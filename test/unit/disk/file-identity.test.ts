import { mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  factsAt,
  isSameFile,
  removeByIdentity,
  renameByIdentity,
} from "../../../agent/disk/file-identity.js";
import type { FileIdentity, Files } from "../../../agent/os/files.js";
import { plainFiles } from "./plain-files.js";
import { temporaryDirectory } from "./temporary-directory.js";

async function oneFile() {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory, name);
  await writeFile(path("disk"), "ours");
  return { directory, path, ours: await identityAt(path("disk")) };
}

async function identityAt(path: string): Promise<FileIdentity> {
  const facts = await factsAt(plainFiles, path);
  if (!facts) throw new Error(`nothing at ${path}`);
  return facts;
}

describe("a file", () => {
  it("stays the same file under another name, and a copy is another file", async () => {
    const { path, ours } = await oneFile();
    await rename(path("disk"), path("moved"));
    await writeFile(path("disk"), "ours");
    expect(isSameFile(await identityAt(path("moved")), ours)).toBe(true);
    expect(isSameFile(await identityAt(path("disk")), ours)).toBe(false);
    expect(await factsAt(plainFiles, path("nothing"))).toBeUndefined();
  });

  it("whose inode was used again is told by its birth", async () => {
    const { ours } = await oneFile();
    expect(isSameFile(ours, { ...ours, birthNs: "1" })).toBe(false);
  });

  it("is the same after a reboot, which numbers the devices anew, unless nothing says when it was born", async () => {
    const { ours } = await oneFile();
    const born = { ...ours, device: "8:1", birthNs: "1795812777281000000" };
    expect(isSameFile(born, { ...born, device: "8:17" })).toBe(true);
    const unborn = { ...born, birthNs: "0" };
    expect(isSameFile(unborn, { ...unborn, device: "8:17" })).toBe(false);
  });

  it("that is a symbolic link is nobody's", async () => {
    const { path } = await oneFile();
    await symlink(path("disk"), path("link"));
    await expect(factsAt(plainFiles, path("link"))).rejects.toMatchObject({ code: "conflict" });
  });
});

describe("renaming", () => {
  it("moves the file that was meant, once, and may be repeated", async () => {
    const { path, ours } = await oneFile();
    expect(await renameByIdentity(plainFiles, ours, path("disk"), path("aside"))).toBe("renamed");
    expect(await renameByIdentity(plainFiles, ours, path("disk"), path("aside"))).toBe("already");
    expect(await readFile(path("aside"), "utf8")).toBe("ours");
  });

  it("refuses another file under the name, and changes nothing", async () => {
    const { path, ours } = await oneFile();
    await rename(path("disk"), path("kept"));
    await writeFile(path("disk"), "theirs");
    const never: Files = {
      ...plainFiles,
      renameNoReplace: () => Promise.reject(new Error("it was renamed")),
    };
    const attempt = renameByIdentity(never, ours, path("disk"), path("aside"));
    await expect(attempt).rejects.toMatchObject({ code: "conflict" });
    expect(await readFile(path("disk"), "utf8")).toBe("theirs");
  });

  it("refuses a new name that is taken, and a file that is nowhere", async () => {
    const { path, ours } = await oneFile();
    await writeFile(path("aside"), "theirs");
    await expect(renameByIdentity(plainFiles, ours, path("disk"), path("aside"))).rejects.toThrow("another");
    expect(await readFile(path("aside"), "utf8")).toBe("theirs");
    await expect(renameByIdentity(plainFiles, ours, path("x"), path("y"))).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it("puts back a file that was swapped in at the last moment", async () => {
    const { path, ours } = await oneFile();
    const swapping: Files = {
      ...plainFiles,
      renameNoReplace: async (from, to) => {
        if (from === path("disk")) {
          await rename(from, path("kept"));
          await writeFile(from, "theirs");
        }
        await plainFiles.renameNoReplace(from, to);
      },
    };
    await expect(renameByIdentity(swapping, ours, path("disk"), path("aside"))).rejects.toThrow("another");
    expect(await readFile(path("disk"), "utf8")).toBe("theirs");
    await expect(removeByIdentity(swapping, path("."), ours, "kept")).resolves.toBe("removed");
  });
});

describe("removing", () => {
  it("removes the file that was meant, and says so when it is gone", async () => {
    const { directory, ours } = await oneFile();
    expect(await removeByIdentity(plainFiles, directory, ours, "disk")).toBe("removed");
    expect(await removeByIdentity(plainFiles, directory, ours, "disk")).toBe("absent");
    expect(await readdir(directory)).toEqual([]);
  });

  it("refuses another file under the name", async () => {
    const { directory, path, ours } = await oneFile();
    await rename(path("disk"), path("kept"));
    await writeFile(path("disk"), "theirs");
    const attempt = removeByIdentity(plainFiles, directory, ours, "disk");
    await expect(attempt).rejects.toMatchObject({ code: "conflict", detail: { fix: expect.any(String) } });
    expect(await readFile(path("disk"), "utf8")).toBe("theirs");
  });

  it("ends what an earlier attempt began", async () => {
    const { directory, path, ours } = await oneFile();
    await rename(path("disk"), path(`.disk.removing-${ours.inode}`));
    await writeFile(path("disk"), "theirs");
    expect(await removeByIdentity(plainFiles, directory, ours, "disk")).toBe("removed");
    expect(await readdir(directory)).toEqual(["disk"]);
  });

  it("removes nothing outside the directory", async () => {
    const { directory, ours } = await oneFile();
    await mkdir(join(directory, "sub"));
    for (const name of ["../disk", "sub/disk", "..", ""]) {
      await expect(removeByIdentity(plainFiles, directory, ours, name)).rejects.toThrow("not a file name");
    }
  });
});
