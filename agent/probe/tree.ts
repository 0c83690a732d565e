/**
 * Reading below one root directory: /sys, /proc, or a captured copy of them.
 *
 * Nothing here throws for what the world may do. A value that is missing or makes no sense is undefined, and
 * the reason goes to the `report`. The `optional` readers keep silent about a file that does not exist: there,
 * absence is an answer (a device without a driver).
 */

import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";

/** Takes one line: what could not be read, and why. */
export type Report = (problem: string) => void;

/** How a file that does not exist answers. ENOTDIR: something on the way to it is a file. */
const ABSENT = new Set(["ENOENT", "ENOTDIR"]);

export type Parse<T> = (text: string) => T | undefined;

export class Tree {
  readonly #root: string;
  readonly #report: Report;

  constructor(root: string, report: Report) {
    this.#root = root;
    this.#report = report;
  }

  /** Where a path of this tree really is. */
  locate(path: string): string {
    return join(this.#root, path);
  }

  /** Tell that the content of a file is not what it should be. */
  complain(path: string, why: string): void {
    this.#report(`${this.locate(path)}: ${why}`);
  }

  /** The text without surrounding white space. */
  text(path: string): Promise<string | undefined> {
    return this.#attempt(path, true, async file => (await readFile(file, "utf8")).trim());
  }

  optionalText(path: string): Promise<string | undefined> {
    return this.#attempt(path, false, async file => (await readFile(file, "utf8")).trim());
  }

  async value<T>(path: string, parse: Parse<T>): Promise<T | undefined> {
    return this.#parsed(path, await this.text(path), parse);
  }

  async optionalValue<T>(path: string, parse: Parse<T>): Promise<T | undefined> {
    return this.#parsed(path, await this.optionalText(path), parse);
  }

  /** Last component of where a symbolic link points; undefined without a word when there is no link. */
  linkName(path: string): Promise<string | undefined> {
    return this.#attempt(path, false, async file => basename(await readlink(file)));
  }

  async linkValue<T>(path: string, parse: Parse<T>): Promise<T | undefined> {
    return this.#parsed(path, await this.linkName(path), parse);
  }

  /** Entries of a directory, sorted; none when it cannot be read. */
  async names(path: string): Promise<string[]> {
    return (await this.#attempt(path, true, file => readdir(file)))?.sort() ?? [];
  }

  async optionalNames(path: string): Promise<string[]> {
    return (await this.#attempt(path, false, file => readdir(file)))?.sort() ?? [];
  }

  #parsed<T>(path: string, text: string | undefined, parse: Parse<T>): T | undefined {
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) this.complain(path, `cannot make sense of ${excerpt(text)}`);
    return value;
  }

  async #attempt<T>(
    path: string,
    required: boolean,
    read: (file: string) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await read(this.locate(path));
    } catch (error) {
      const code = systemErrorCode(error);
      if (required || !ABSENT.has(code)) this.complain(path, code);
      return undefined;
    }
  }
}

/** The code of a failed system call (`ENOENT`); whatever else was thrown is a bug and goes on up. */
export function systemErrorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  throw error;
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
