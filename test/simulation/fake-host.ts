/**
 * What a fake host *is*, apart from what its agent believes: which domains are defined and running, and what its files
 * hold. Invariants are checked against this truth, never against a journal.
 */

export type DomainState = "SHUTDOWN" | "PAUSED" | "RUNNING";

export interface FakeDomain {
  readonly incarnation: string;
  /** What a resize changes. */
  readonly vcpus: number;
  state: DomainState;
}

export interface FakeFile {
  readonly digest: string;
  readonly path: string;
  /** Renamed out of the domain's reach. */
  aside: boolean;
}

/** The part of a host that survives its agent. */
export class FakeHost {
  readonly name: string;
  readonly domains = new Map<string, FakeDomain>();
  /** By `<incarnation>/<file id>`. */
  readonly files = new Map<string, FakeFile>();
  /** Servers that the hook refuses to start. */
  readonly denied = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  filesOf(incarnation: string): [string, FakeFile][] {
    return [...this.files].filter(([key]) => key.startsWith(`${incarnation}/`));
  }

  /** Could somebody start this server here now, by any means? */
  isRunnable(serverId: string): boolean {
    const domain = this.domains.get(serverId);
    if (domain === undefined || this.denied.has(serverId)) return false;
    const files = this.filesOf(domain.incarnation);
    return files.length > 0 && files.every(([, file]) => !file.aside);
  }
}
