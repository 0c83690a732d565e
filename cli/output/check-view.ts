/** What hosts say to taking a server, check by check, as a table and a line of what the move would cost. */

import type { HostCheck, MoveEstimate } from "../../proto/gen/ferry/v1/controller.js";
import type { CheckResult, FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { Column } from "./table.js";
import { formatBytes, formatDuration, formatRate } from "./units.js";

/** One line per reason; a check without any has one line, too. */
interface CheckLine {
  readonly host: string;
  readonly check: CheckResult;
  readonly reason: FaultInfo | undefined;
  readonly isFirst: boolean;
}

export const checkLines = (hosts: readonly HostCheck[]): CheckLine[] =>
  hosts.flatMap(({ host, checks }) =>
    checks.flatMap(check =>
      (check.reasons.length === 0 ? [undefined] : check.reasons).map((reason, index) => ({
        host,
        check,
        reason,
        isFirst: index === 0,
      })),
    ),
  );

const first = ({ isFirst }: CheckLine, text: string) => (isFirst ? text : "");

export const CHECK_COLUMNS: readonly Column<CheckLine>[] = [
  { title: "Host", value: line => first(line, line.host) },
  { title: "Check", value: line => first(line, line.check.name) },
  { title: "Outcome", value: line => first(line, outcomeWord(line.check)) },
  { title: "Reason", value: ({ reason }) => reason?.message ?? "" },
  { title: "Have", value: ({ reason }) => reason?.have ?? "" },
  { title: "Need", value: ({ reason }) => reason?.need ?? "" },
  { title: "Fix", value: ({ reason }) => reason?.fix ?? "" },
];

/** What the source itself has against the move. */
export const REFUSAL_COLUMNS: readonly Column<FaultInfo>[] = [
  { title: "Source refuses", value: ({ message }) => message },
  { title: "Have", value: ({ have }) => have },
  { title: "Need", value: ({ need }) => need },
  { title: "Fix", value: ({ fix }) => fix },
];

/** What is not held against a host is a note. */
const outcomeWord = ({ outcome, informational }: CheckResult): string =>
  informational && outcome !== "ok" ? "note" : outcome;

/** `h2: possible; 1.5 GiB to copy, about 14s at 110 MiB/s`. */
export function checkSummary({ host, ok, estimate }: HostCheck): string {
  const verdict = ok ? "possible" : "not possible";
  return estimate === undefined ? `${host}: ${verdict}` : `${host}: ${verdict}; ${cost(estimate)}`;
}

function cost({ bytes, bytesPerSecond, copySeconds, unknown }: MoveEstimate): string {
  const amount = `${formatBytes(bytes)} to copy`;
  if (bytesPerSecond === undefined || copySeconds === undefined)
    return `${amount}, in unknown time (${unknown})`;
  return `${amount}, about ${formatDuration(copySeconds * 1000)} at ${formatRate(bytesPerSecond)}`;
}
