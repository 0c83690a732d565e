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

/** `live`: with the reasons that only a move of the running guest has. */
export const checkLines = (hosts: readonly HostCheck[], live: boolean): CheckLine[] =>
  hosts.flatMap(({ host, checks }) =>
    checks.flatMap(check =>
      orNone([...check.reasons, ...(live ? check.liveReasons : [])]).map((reason, index) => ({
        host,
        check,
        reason,
        isFirst: index === 0,
      })),
    ),
  );

const orNone = (reasons: readonly FaultInfo[]): readonly (FaultInfo | undefined)[] =>
  reasons.length === 0 ? [undefined] : reasons;

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

const [HOST, CHECK, OUTCOME, ...REASON] = CHECK_COLUMNS;

export const LIVE_CHECK_COLUMNS: readonly Column<CheckLine>[] = [
  ...[HOST, CHECK, OUTCOME].flatMap(column => column ?? []),
  { title: "Live", value: line => first(line, line.check.liveOutcome) },
  ...REASON,
];

/** Each check also says what it says to a move of the running guest. */
export const isPossibleLive = ({ checks }: HostCheck): boolean =>
  checks.every(({ liveOutcome }) => liveOutcome === "ok");

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
export function checkSummary(check: HostCheck, live = false): string {
  const { host, ok, estimate } = check;
  const cold = ok ? "possible" : "not possible";
  const verdict = live ? `${cold}, live ${isPossibleLive(check) ? "possible" : "not possible"}` : cold;
  return estimate === undefined ? `${host}: ${verdict}` : `${host}: ${verdict}; ${cost(estimate)}`;
}

function cost({ bytes, bytesPerSecond, copySeconds, unknown }: MoveEstimate): string {
  const amount = `${formatBytes(bytes)} to copy`;
  if (bytesPerSecond === undefined || copySeconds === undefined)
    return `${amount}, in unknown time (${unknown})`;
  return `${amount}, about ${formatDuration(copySeconds * 1000)} at ${formatRate(bytesPerSecond)}`;
}
