/** Whatever tells a person to type a `ferry` command, in a sentence or a page, names one that exists, with options that it has. */

import { globSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { buildProgram } from "../../cli/program.js";
import { Runner } from "../../cli/runner.js";
import { SILENT_SHELL } from "../unit/cli/shell.js";

const program = buildProgram(new Runner(SILENT_SHELL), SILENT_SHELL);
const GROUPS = program.commands.map(command => command.name()).join("|");
/** Up to where a command ends in code or prose: a quote, a bracket, a line's end, the next command, a pipe. */
const NAMED = new RegExp(`\\bferry ((?:${GROUPS})\\b(?:(?!\\bferry )[^"'\`\\n()|>&;#])*)`, "g");

const files = globSync(
  ["{agent,controller,proto,cli}/**/*.ts", "docs/*.md", "docs/guides/*.md", "README.md"],
  {
    exclude: ["proto/gen/**"],
  },
);

it("every command that is named exists", () => {
  const wrong = files.flatMap(file => {
    const named = [...readFileSync(file, "utf8").matchAll(NAMED)].map(([, words = ""]) => words);
    return named.flatMap(words => wrongIn(words).map(what => `${file}: ferry ${words.trim()}: ${what}`));
  });
  expect(files.length).toBeGreaterThan(400);
  expect(wrong).toEqual([]);
});

it("a command or an option that does not exist is found", () => {
  expect(wrongIn("server revert web-3 --discard-writes, or keep it")).toEqual(["no option --discard-writes"]);
  expect(wrongIn("server move web-3")).toEqual(["no command move"]);
  expect(wrongIn("server migrate web-3 --host h2 -o json --watch")).toEqual([]);
});

/** What `words` name that does not exist. */
function wrongIn(words: string): string[] {
  let command: Command = program;
  const rest = words.trim().split(/[\s,]+/);
  for (let next = find(command, rest[0]); next !== undefined; next = find(command, rest[0])) {
    command = next;
    rest.shift();
  }
  const isGroup = command.commands.length > 0;
  if (isGroup && /^[a-z][a-z-]+$/.test(rest[0] ?? "")) return [`no command ${rest[0]}`];
  const known = [command, program].flatMap(({ options }) => options.map(({ long }) => long));
  return rest
    .filter(word => /^--[a-z]/.test(word))
    .map(word => word.replace(/[^a-z-].*$/, ""))
    .filter(option => option !== "--help" && !known.includes(option))
    .map(option => `no option ${option}`);
}

const find = (command: Command, name: string | undefined): Command | undefined =>
  command.commands.find(candidate => candidate.name() === name);
