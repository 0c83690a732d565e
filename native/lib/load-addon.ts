/**
 * Finds and loads one of our addons, and says what to do when it cannot.
 *
 * The addons lie in `native/build/Release` of the package root, which is found by walking up: this code runs from
 * `native/lib` (sources) and from `dist/agent` (built). Failures are `AddonUnavailableError`s.
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export type AddonUnavailableCode = "ERR_ADDON_NOT_BUILT" | "ERR_LIBVIRT_UNAVAILABLE" | "ERR_ADDON_BROKEN";

export class AddonUnavailableError extends Error {
  readonly code: AddonUnavailableCode;

  constructor(code: AddonUnavailableCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AddonUnavailableError";
    this.code = code;
  }
}

const HOW_TO_BUILD: Record<string, string> = {
  virt: "apt-get install build-essential python3 pkg-config libvirt-dev && npm run build:native",
  fastio: "apt-get install build-essential python3 && npm run build:native",
  transfer: "apt-get install build-essential python3 librust-blake3-dev libzstd-dev && npm run build:native",
};

export function loadAddon(name: "virt" | "fastio" | "transfer"): unknown {
  const file = findAddon(name);
  if (file === undefined) {
    throw new AddonUnavailableError(
      "ERR_ADDON_NOT_BUILT",
      `the native addon ${name}.node was not built; run: ${HOW_TO_BUILD[name]}`,
    );
  }
  try {
    return createRequire(import.meta.url)(file);
  } catch (error) {
    throw explain(file, error);
  }
}

function findAddon(name: string): string | undefined {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const file = join(directory, "native", "build", "Release", `${name}.node`);
    if (existsSync(file)) return file;
    if (directory === dirname(directory)) return undefined;
  }
}

function explain(file: string, error: unknown): AddonUnavailableError {
  const reason = error instanceof Error ? error.message : String(error);
  if (/libvirt[\w-]*\.so\S*: cannot open shared object/.test(reason)) {
    return new AddonUnavailableError(
      "ERR_LIBVIRT_UNAVAILABLE",
      `libvirt's client library is not installed (${reason}); run: apt-get install libvirt0`,
      { cause: error },
    );
  }
  return new AddonUnavailableError("ERR_ADDON_BROKEN", `cannot load ${file}: ${reason}`, { cause: error });
}
