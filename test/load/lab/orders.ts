/** What the lab's fleet is asked to do, and how each migration was seen to end: between the load and its client on ctl. */

export interface Order {
  readonly server: string;
  readonly verb: "migrate" | "confirm" | "revert";
  /** Of a migrate. */
  readonly host: string;
  readonly priority: number;
}

export interface Followed {
  readonly server: string;
  readonly migration: string;
  /** In which it came to rest. */
  readonly status: string;
  /** So many messages its stream brought. */
  readonly messages: number;
  /** So often its stream broke, and was taken up again. */
  readonly losses: number;
  /** Why nothing came of it; empty when something did. */
  readonly problem: string;
}
