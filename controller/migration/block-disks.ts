/** What becomes of disks on block devices that the target does not have: the server is refused, or takes them along as files. */

import { Fault } from "../../proto/fault.js";

const CHOICES = ["refuse", "copy"] as const;

export type BlockDisks = (typeof CHOICES)[number];

/** Undefined: it is refused. */
export function checkedBlockDisks(asked: string | undefined): BlockDisks | undefined {
  if (asked === undefined || asked === "") return undefined;
  const known = CHOICES.find(choice => choice === asked);
  if (known !== undefined) return known;
  const detail = { have: asked, need: CHOICES.join(", ") };
  throw new Fault(
    "invalid-argument",
    `disks on block devices cannot be treated by ${JSON.stringify(asked)}`,
    detail,
  );
}
