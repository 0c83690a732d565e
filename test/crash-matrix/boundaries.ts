/**
 * The rows of the crash matrix: moments between two steps, and how a migration is brought to each of them.
 *
 * The controller is stopped (SIGSTOP) by the very write of the log line that tells of the moment: what is logged is durable,
 * and nothing that follows has begun. In mid-copy a slow link gives the time instead.
 */

export interface Boundary {
  readonly name: string;
  /** A piece of the controller's log line that ends the step before; absent in mid-copy. */
  readonly line?: string;
  /** What has to be asked for before it is reached: the migration, or a decision about one that is finished. */
  readonly ask: "migrate" | "confirm" | "revert";
}

const begun = (step: string) => `"step":"${step}","msg":"begun"`;
const undone = (step: string) => `"step":"${step}","msg":"undone"`;

const onTheWay = ["select-target", "prepare-target", "stop-source", "fence-source", "copy-disks"].map(
  (step): Boundary => ({ name: step, line: begun(step), ask: "migrate" }),
);

const arriving = ["prepare-disks", "connect-target", "define-target", "create-target", "release-target"].map(
  (step): Boundary => ({ name: step, line: begun(step), ask: "migrate" }),
);

export const BOUNDARIES: readonly Boundary[] = [
  // Its beginning is written with the request itself and has no line of its own.
  { name: "claim-server", line: `"step":"claim-server","msg":"done"`, ask: "migrate" },
  ...onTheWay,
  { name: "mid-copy", ask: "migrate" },
  ...arriving,
  { name: "finished", line: `"msg":"waiting"`, ask: "migrate" },
  { name: "retire-source", line: begun("retire-source"), ask: "confirm" },
  { name: "release", line: begun("release"), ask: "confirm" },
  { name: "revert", line: `"msg":"verdict"`, ask: "revert" },
  { name: "revert: target stopped", line: undone("release-target"), ask: "revert" },
  { name: "revert: target withdrawn", line: undone("create-target"), ask: "revert" },
  { name: "revert: source restored", line: undone("fence-source"), ask: "revert" },
  { name: "revert: source started", line: undone("claim-server"), ask: "revert" },
];
