/** The hand-written types say exactly what the addons have: the tables below do not compile otherwise. */

import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Fastio, loadFastio } from "../../native/lib/fastio.js";
import type { Connect, Domain, StoragePool } from "../../native/lib/libvirt.js";
import { loadTransfer, type Transfer } from "../../native/lib/transfer.js";

type Names<T> = Record<Extract<keyof T, string>, true>;

const CONNECT: Names<Connect> = {
  close: true,
  isAlive: true,
  getType: true,
  getLibVersion: true,
  getVersion: true,
  getHostname: true,
  getCapabilities: true,
  getDomainCapabilities: true,
  compareHypervisorCPU: true,
  setKeepAlive: true,
  onLifecycle: true,
  onIoError: true,
  removeListener: true,
  onClose: true,
  lookupByName: true,
  lookupByUUID: true,
  defineXML: true,
  listAllDomains: true,
  getAllDomainStats: true,
  listAllStoragePools: true,
  listAllNetworks: true,
};

const DOMAIN: Names<Domain> = {
  name: true,
  uuid: true,
  id: true,
  free: true,
  create: true,
  shutdown: true,
  destroy: true,
  suspend: true,
  resume: true,
  undefine: true,
  setAutostart: true,
  setMetadata: true,
  blockResize: true,
  getState: true,
  getInfo: true,
  getXMLDesc: true,
  getMetadata: true,
  isPersistent: true,
  getAutostart: true,
  hasManagedSaveImage: true,
  listAllSnapshots: true,
  listAllCheckpoints: true,
  snapshotCreateXML: true,
  checkpointCreateXML: true,
  getJobInfo: true,
  getJobStats: true,
  abortJob: true,
  blockJobInfo: true,
};

const STORAGE_POOL: Names<StoragePool> = {
  name: true,
  uuid: true,
  isActive: true,
  getInfo: true,
  getXMLDesc: true,
  refresh: true,
  free: true,
};

const FASTIO: Names<Fastio> = {
  extents: true,
  punchHole: true,
  zeroRange: true,
  allocate: true,
  clone: true,
  copyRange: true,
  dropCache: true,
  facts: true,
  fileSystem: true,
  directAlignment: true,
  takeWriteLease: true,
  holdsWriteLease: true,
  takeWriteLock: true,
  lockExclusive: true,
  renameNoReplace: true,
  openBeneath: true,
  notify: true,
  poolStats: true,
  block: true,
};

const TRANSFER: Names<Transfer> = {
  algorithms: true,
  compressions: true,
  DigestTree: true,
  Connection: true,
  Listener: true,
  SegmentQueue: true,
  TokenBucket: true,
  Part: true,
  PartTable: true,
  checkHeader: true,
  poolStats: true,
  block: true,
};

/** Methods and accessors of each class. */
const TRANSFER_CLASSES: {
  readonly [Name in keyof Transfer as Transfer[Name] extends new (
    ...arguments_: never[]
  ) => object
    ? Name
    : never]: Transfer[Name] extends new (...arguments_: never[]) => infer Made ? Names<Made> : never;
} = {
  DigestTree: {
    algorithm: true,
    sizeBytes: true,
    leafCount: true,
    isComplete: true,
    dataBytes: true,
    stateOf: true,
    runFrom: true,
    digestsOf: true,
    set: true,
    setZero: true,
    root: true,
    read: true,
    copy: true,
    hash: true,
  },
  Connection: {
    dial: true,
    peerCertificate: true,
    channelBinding: true,
    allowCompression: true,
    setTaps: true,
    send: true,
    receive: true,
    serveParts: true,
    sendSegments: true,
    ping: true,
    refuse: true,
    finish: true,
    sever: true,
    sentBytes: true,
    receivedBytes: true,
    silentMs: true,
    sentAgoMs: true,
  },
  Listener: { listen: true, setTls: true, close: true },
  SegmentQueue: { add: true, counts: true, verified: true },
  TokenBucket: { setRate: true },
  Part: { counts: true },
  PartTable: { set: true, delete: true },
};

const release = join(import.meta.dirname, "..", "..", "native", "build", "Release");
const virt = createRequire(import.meta.url)(join(release, "virt.node"));
const sorted = (object: object) => Object.getOwnPropertyNames(object).sort();
const methodsOf = (name: string) => sorted(virt[name].prototype).filter(method => method !== "constructor");

describe("the declared surface", () => {
  it("is that of the libvirt addon's classes", () => {
    expect(methodsOf("Connect")).toEqual(sorted(CONNECT));
    expect(methodsOf("Domain")).toEqual(sorted(DOMAIN));
    expect(methodsOf("StoragePool")).toEqual(sorted(STORAGE_POOL));
  });

  it("is that of the file addon", () => {
    expect(sorted(loadFastio())).toEqual(sorted(FASTIO));
  });

  it("is that of the transfer addon and its classes", () => {
    const addon = loadTransfer();
    expect(sorted(addon)).toEqual(sorted(TRANSFER));
    for (const name of Object.keys(TRANSFER_CLASSES) as (keyof typeof TRANSFER_CLASSES)[]) {
      const methods = sorted(addon[name].prototype).filter(method => method !== "constructor");
      expect([name, methods]).toEqual([name, sorted(TRANSFER_CLASSES[name])]);
    }
  });
});
