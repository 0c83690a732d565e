/** The words of `bench copy`. */

import { type Command, InvalidArgumentError, Option } from "commander";
import { Fault } from "../../proto/fault.js";
import { benchCopy } from "./bench-copy.js";
import { DATA_SETS } from "./data-sets.js";
import { renderReport } from "./report.js";
import { defaultRows, ROWS, rowsNamed } from "./rows/rows.js";
import { parseSize } from "./size.js";

interface CopyOptions {
  readonly data: string;
  readonly source?: string;
  readonly size?: number;
  readonly rows?: string;
  readonly runs: number;
  readonly folder?: string;
  readonly json?: true;
}

const HELP = `
Data sets:
${DATA_SETS.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`).join("\n")}

Rows:
${ROWS.map(({ name, summary }) => `  ${name.padEnd(22)} ${summary}`).join("\n")}

Examples:
  npm run bench -- copy --size 64M --runs 1
  npm run bench -- copy --rows ferry-tls-1,ferry-tls-2,rsync-whole,nbd-tls --size 1G
  npm run bench -- copy --data sparse --json
  npm run bench -- copy --source /var/lib/libvirt/images/web-1.qcow2 --folder /var/tmp
`;

export function addCopyCommand(program: Command, interrupted: AbortSignal): void {
  program
    .command("copy")
    .description("copy one file from host to host, by Ferry and by others, both ends in one account")
    .addOption(
      new Option("--data <set>", "what is copied")
        .choices(DATA_SETS.map(({ name }) => name))
        .default("random"),
    )
    .option("--source <file>", "copy this file instead")
    .option("--size <size>", "size of the file, e.g. 64M or 4GiB", parseSize)
    .option("--rows <list>", "only these, separated by commas")
    .option("--runs <count>", "runs of each; medians are told", countOf, 5)
    .option("--folder <folder>", "where source and target lie (default: /dev/shm, that is in memory)")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", HELP)
    .action((options: CopyOptions) => copy(options, interrupted));
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1000) throw new InvalidArgumentError("Must be 1 to 1000.");
  return count;
}

async function copy(options: CopyOptions, interrupted: AbortSignal): Promise<void> {
  const dataSet = DATA_SETS.find(({ name }) => name === options.data);
  if (dataSet === undefined) throw new Fault("internal", `no data set ${options.data}`);
  const rows = options.rows === undefined ? defaultRows(dataSet.name) : rowsNamed(options.rows);
  const { runs, source, size, folder } = options;
  const request = {
    rows,
    runs,
    dataSet,
    ...(source === undefined ? {} : { source }),
    ...(size === undefined ? {} : { sizeBytes: size }),
    ...(folder === undefined ? {} : { folder }),
  };
  const say = (line: string) => void process.stderr.write(line);
  const { report, samples } = await benchCopy(request, say, interrupted);
  if (report.rows.length === 0) interrupted.throwIfAborted();
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `\n${renderReport(report, samples)}`);
  if (report.rows.some(({ verified }) => !verified)) {
    throw new Fault("corrupt", "a copy is not equal to its source");
  }
  interrupted.throwIfAborted();
}
