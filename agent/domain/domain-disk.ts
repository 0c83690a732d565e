/** A disk of a domain as facts, and the network source and backing layers that it may have. Absent is `undefined`, never guessed. */

import { required } from "./required.js";
import { attributeOf, childOf, childrenOf, type Element, textOf } from "./xml-document.js";

export interface BackingLayer {
  readonly type: string;
  readonly path: string | undefined;
  readonly format: string | undefined;
}

/** `<source protocol='nbd' name='export'><host name='store' port='10809'/></source>` */
export interface NetworkSource {
  readonly protocol: string;
  /** Export, image or IQN/LUN; empty when there is none. */
  readonly name: string;
  readonly hosts: readonly {
    readonly name: string;
    readonly port: number | undefined;
    readonly transport: string;
  }[];
  readonly usesTls: boolean;
  /** `<auth>`: a user whose secret libvirt keeps. */
  readonly hasSecret: boolean;
}

export interface DomainDisk {
  /** `disk`, `cdrom`, `floppy` or `lun`. */
  readonly device: string;
  /** `file`, `block`, `network`, `volume`, `dir`, `nvme`, `vhostuser`, … */
  readonly type: string;
  readonly targetDev: string;
  readonly bus: string | undefined;
  /** Path of the source; undefined for an empty drive and for sources that are not paths. */
  readonly sourcePath: string | undefined;
  /** Of a disk of type `network`. */
  readonly network: NetworkSource | undefined;
  /** False for an empty drive. */
  readonly hasSource: boolean;
  /** The declared image format; undefined when the XML leaves it to be probed. */
  readonly format: string | undefined;
  readonly cache: string | undefined;
  readonly readonly: boolean;
  readonly shareable: boolean;
  readonly transient: boolean;
  readonly encrypted: boolean;
  readonly serial: string | undefined;
  readonly alias: string | undefined;
  readonly bootOrder: number | undefined;
  /** Layers below the active one, nearest first; libvirt tells them for a running guest only. */
  readonly backingStore: readonly BackingLayer[];
  /** A running block job's other side (`<mirror>`). */
  readonly hasMirror: boolean;
  readonly element: Element;
}

/** Fault("invalid-argument") for a disk without a target. */
export function readDisk(element: Element): DomainDisk {
  const target = childOf(element, "target");
  const source = childOf(element, "source");
  const driver = childOf(element, "driver");
  const bootOrder = attributeOf(childOf(element, "boot"), "order");
  return {
    device: attributeOf(element, "device") ?? "disk",
    type: attributeOf(element, "type") ?? "file",
    targetDev: required(attributeOf(target, "dev"), "disk target"),
    bus: attributeOf(target, "bus"),
    sourcePath: sourcePathOf(source),
    network: networkOf(element, source),
    hasSource: source !== undefined && source.attributes.length > 0,
    format: attributeOf(driver, "type"),
    cache: attributeOf(driver, "cache"),
    readonly: childOf(element, "readonly") !== undefined,
    shareable: childOf(element, "shareable") !== undefined,
    transient: childOf(element, "transient") !== undefined,
    encrypted: isEncrypted(element),
    serial: textOf(childOf(element, "serial")),
    alias: attributeOf(childOf(element, "alias"), "name"),
    bootOrder: bootOrder === undefined ? undefined : Number(bootOrder),
    backingStore: readBackingStore(element),
    hasMirror: childOf(element, "mirror") !== undefined,
    element,
  };
}

function networkOf(disk: Element, source: Element | undefined): NetworkSource | undefined {
  const protocol = attributeOf(source, "protocol");
  if (source === undefined || protocol === undefined) return undefined;
  return {
    protocol,
    name: attributeOf(source, "name") ?? "",
    hosts: childrenOf(source, "host").map(host => {
      const port = Number(attributeOf(host, "port") ?? Number.NaN);
      return {
        name: attributeOf(host, "name") ?? "",
        port: Number.isInteger(port) ? port : undefined,
        transport: attributeOf(host, "transport") ?? "tcp",
      };
    }),
    usesTls: attributeOf(source, "tls") === "yes",
    hasSecret: (childOf(disk, "auth") ?? childOf(source, "auth")) !== undefined,
  };
}

const isEncrypted = (disk: Element): boolean =>
  (childOf(disk, "encryption") ?? childOf(disk, "source", "encryption")) !== undefined;

const sourcePathOf = (source: Element | undefined): string | undefined =>
  attributeOf(source, "file") ?? attributeOf(source, "dev") ?? attributeOf(source, "dir");

function readBackingStore(disk: Element): BackingLayer[] {
  const layers: BackingLayer[] = [];
  for (let store = childOf(disk, "backingStore"); store; store = childOf(store, "backingStore")) {
    const type = attributeOf(store, "type");
    if (type === undefined) break; // An empty <backingStore/> ends the chain.
    layers.push({
      type,
      path: sourcePathOf(childOf(store, "source")),
      format: attributeOf(childOf(store, "format"), "type"),
    });
  }
  return layers;
}
