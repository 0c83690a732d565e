/**
 * count-results.mjs REPORT STATUS: prints `passed failed` for one Vitest run, from its JSON report and exit status. What
 * Vitest does not count as a failed test is a failure here too: a file that does not load, an unhandled error, no report.
 */

import { existsSync, readFileSync } from "node:fs";

const [, , reportPath, status] = process.argv;
const report = existsSync(reportPath)
  ? JSON.parse(readFileSync(reportPath, "utf8"))
  : { numPassedTests: 0, numFailedTests: 0, testResults: [] };

const broken = report.testResults.filter(
  file => file.status === "failed" && !file.assertionResults.some(test => test.status === "failed"),
).length;
const failed = report.numFailedTests + broken;

process.stdout.write(`${report.numPassedTests} ${failed === 0 && status !== "0" ? 1 : failed}\n`);
