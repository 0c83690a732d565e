/** libvirt's error as it was on the thread where the call failed. */

export interface LibvirtErrorFacts {
  /** virErrorNumber. */
  readonly code: number;
  /** virErrorDomain: which part of libvirt spoke. */
  readonly domain: number;
  readonly level: number;
  /** The C function that failed. */
  readonly op: string;
  readonly str1: string;
  readonly str2: string;
  readonly str3: string;
  /** errno, where the code is VIR_ERR_SYSTEM_ERROR. */
  readonly int1: number;
}

export class LibvirtError extends Error implements LibvirtErrorFacts {
  readonly code: number;
  readonly domain: number;
  readonly level: number;
  readonly op: string;
  readonly str1: string;
  readonly str2: string;
  readonly str3: string;
  readonly int1: number;

  constructor(message: string, facts: LibvirtErrorFacts) {
    super(message);
    this.name = "LibvirtError";
    this.code = facts.code;
    this.domain = facts.domain;
    this.level = facts.level;
    this.op = facts.op;
    this.str1 = facts.str1;
    this.str2 = facts.str2;
    this.str3 = facts.str3;
    this.int1 = facts.int1;
  }
}
