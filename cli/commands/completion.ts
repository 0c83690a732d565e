/** `ferry completion`: what a shell needs to complete words. */

import { Argument, type Command } from "commander";
import { bashCompletion } from "../completion.js";
import type { Shell } from "../shell.js";

export function addCompletionCommand(program: Command, shell: Pick<Shell, "write">): void {
  program
    .command("completion")
    .description("print a script that completes ferry's words in your shell")
    .addArgument(new Argument("<shell>", "which shell").choices(["bash"]))
    .addHelpText("after", "\nExample:\n  ferry completion bash > /etc/bash_completion.d/ferry\n")
    .action(() => shell.write(bashCompletion(program)));
}
