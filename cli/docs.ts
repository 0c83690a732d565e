/** The reference of the command line as Markdown, from the help texts themselves. */

import type { Command } from "commander";
import { buildProgram } from "./program.js";
import { Runner } from "./runner.js";
import type { Shell } from "./shell.js";

const INTRODUCTION = `# The ferry command

<!-- Generated from the help texts by \`npm run docs:cli\`; change those. -->
`;

/** `shell` is never asked anything: only the width counts. */
export function renderDocs(shell: Shell): string {
  let written = "";
  const write = (text: string) => {
    written += text;
  };
  const capture = { ...shell, write };
  const program = buildProgram(new Runner(capture), capture);
  const sections = commandsOf(program).map(command => {
    written = "";
    command.outputHelp();
    const title = pathOf(command).join(" ");
    const level = "#".repeat(Math.min(pathOf(command).length + 1, 3));
    return `${level} ${title}\n\n\`\`\`text\n${written.trim()}\n\`\`\`\n`;
  });
  return [INTRODUCTION, ...sections].join("\n");
}

const commandsOf = (command: Command): Command[] => [command, ...command.commands.flatMap(commandsOf)];

const pathOf = (command: Command): string[] =>
  command.parent === null ? [command.name()] : [...pathOf(command.parent), command.name()];
