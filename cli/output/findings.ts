/** What was found, and numbered what would be done about it. */

import type { Output } from "./output.js";

export function printFindings(output: Output, findings: readonly string[], plan: readonly string[]): void {
  output.list(findings, [{ title: "Found", value: line => line }]);
  output.list(
    [...plan.entries()],
    [
      { title: "#", value: ([index]) => String(index + 1), right: true },
      { title: "Plan", value: ([, line]) => line },
    ],
  );
}
