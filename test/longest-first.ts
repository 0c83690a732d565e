/**
 * The order of test files: those that take minutes begin first. Left to the size of the files, one of them begins last and
 * has the machine for itself, while the other processor waits.
 */

import { BaseSequencer, type TestSpecification } from "vitest/node";

/** By what they took on two processors, longest first. */
const LONG = [
  "lab/resize",
  "lab/failures-daemons",
  "lab/failures-verify",
  "lab/migrate",
  "lab/failures-target",
  "lab/recovery",
  "lab/systemd",
  "lab/refusals-target",
  "lab/openstack-clients",
  "lab/failures-guest",
  "lab/refusals-source",
  "lab/crash-matrix",
  "fuzz/readers",
  "proofs/every-moment",
  "postgres/three-controllers",
  "native/real-libvirtd",
  "native/transfer-resume",
  "native/transfer-faults",
  "native/bench",
  "native/transfer-ssh",
  "native/process-end",
];

const rankOf = ({ moduleId }: TestSpecification): number => {
  const at = LONG.findIndex(name => moduleId.endsWith(`test/${name}.test.ts`));
  return at < 0 ? LONG.length : at;
};

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}
