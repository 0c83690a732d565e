/** A reason why a domain is not taken: what was found, with what is there, what is needed and what to do. */

export type RefusalCode =
  | "transient"
  | "paused"
  | "bad-state"
  | "managed-save"
  | "block-job"
  | "domain-job"
  | "live-differs"
  | "snapshot"
  | "checkpoint"
  | "hostdev"
  | "filesystem"
  | "interface"
  | "secret"
  | "shared-disk"
  | "transient-disk"
  | "encrypted-disk"
  | "disk-source"
  | "implicit-format"
  | "read-only-media"
  | "outside-pools"
  | "host-path";

export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  readonly have: string;
  readonly need: string;
  readonly fix: string;
}

export const refusal = (
  code: RefusalCode,
  message: string,
  have: string,
  need: string,
  fix: string,
): Refusal => ({
  code,
  message,
  have,
  need,
  fix,
});
