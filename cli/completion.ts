/**
 * Completion for bash, derived from the tree of commands: a static script that asks nobody, so it works where the
 * controller cannot be reached.
 */

import type { Command } from "commander";

export function bashCompletion(program: Command): string {
  const entries = flatten(program, [program.name()]);
  const table = entries.map(({ path, words }) => `    ["${path.join(" ")}"]="${words.join(" ")}"`);
  return `# bash completion for ferry: source <(ferry completion bash)
_ferry() {
  local -A next=(
${table.join("\n")}
  )
  local path="ferry" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -v "next[$path $word]" ]]; then path="$path $word"; fi
  done
  mapfile -t COMPREPLY < <(compgen -W "\${next[$path]}" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _ferry ferry
`;
}

interface Entry {
  readonly path: readonly string[];
  /** What may come next. */
  readonly words: readonly string[];
}

function flatten(command: Command, path: readonly string[]): Entry[] {
  const children = command.commands.map(child => child.name());
  const options = [...command.options, ...globalOptions(command)].map(
    option => option.long ?? option.short ?? "",
  );
  const entry = { path, words: [...children, ...options, "--help"] };
  return [entry, ...command.commands.flatMap(child => flatten(child, [...path, child.name()]))];
}

const globalOptions = ({ parent }: Command): Command["options"] =>
  parent === null ? [] : [...globalOptions(parent), ...(parent.parent === null ? parent.options : [])];
