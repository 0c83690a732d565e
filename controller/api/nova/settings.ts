/** What an operator says about the REST face, beyond where it listens. */

/** An image that servers may be made from, under the id that clients know. */
export interface NovaImage {
  readonly id: string;
  readonly name: string;
  /** On every host. */
  readonly path: string;
  /** qcow2 | raw */
  readonly format: string;
}

export interface NovaSettings {
  readonly images: readonly NovaImage[];
  /** What a new server is plugged into, when the client does not say `none`. */
  readonly network?: { readonly type: "bridge" | "network"; readonly source: string };
}
