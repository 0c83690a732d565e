/**
 * A volume: a disk that is reached over a network and stays where it is when its server moves (SAFETY R1). It is let go when the
 * source is fenced and reached from the target before the server is defined there; it is never copied, renamed or grown.
 *
 * What tells one kind of volume from another is a driver: a small module, one for each protocol of libvirt's `<source>`.
 */

import type { NetworkSource } from "../domain/domain-disk.js";

export interface VolumeDriver {
  /** As libvirt names it: `<source protocol="nbd">`. */
  readonly protocol: string;
  readonly defaultPort: number;
  /** What keeps this one on its host, beyond what does so for every protocol; in words that complete "the volume …". */
  readonly whyBound?: (source: NetworkSource) => string | undefined;
  /** QEMU's own block driver and its options; with `server` as QEMU takes an address of it. */
  readonly blockNode: (name: string, server: VolumeServer) => Readonly<Record<string, unknown>>;
}

export interface VolumeServer {
  readonly host: string;
  readonly port: number;
}
