/**
 * Firmware images for guests, from QEMU's descriptor files (docs/interop/firmware.json).
 *
 * The administrator's directory overrides the distribution's by file name, and an empty file there hides one.
 * The order is that of the names, which is the order of preference.
 */

import { z } from "zod";
import type { GuestFirmware } from "../../proto/gen/ferry/v1/host.js";
import type { Trees } from "./roots.js";
import type { Tree } from "./tree.js";

const DIRECTORY = "qemu/firmware";

const fileFormat = z.object({ filename: z.string(), format: z.string().optional() });

const descriptor = z.object({
  description: z.string().default(""),
  "interface-types": z.array(z.string()).default([]),
  mapping: z.object({
    device: z.string(),
    executable: fileFormat.optional(),
    "nvram-template": fileFormat.optional(),
    filename: z.string().optional(),
  }),
  targets: z
    .array(z.object({ architecture: z.string(), machines: z.array(z.string()).default([]) }))
    .default([]),
  features: z.array(z.string()).default([]),
});

export async function readFirmware({ etc, share }: Pick<Trees, "etc" | "share">): Promise<GuestFirmware[]> {
  const sources = new Map<string, Tree>();
  for (const tree of [share, etc]) {
    const names = await tree.optionalNames(DIRECTORY);
    for (const name of names.filter(file => file.endsWith(".json"))) sources.set(name, tree);
  }
  const inOrder = [...sources].sort(([a], [b]) => (a < b ? -1 : 1));
  const read = await Promise.all(inOrder.map(([name, tree]) => readDescriptor(tree, `${DIRECTORY}/${name}`)));
  return read.filter(firmware => firmware !== undefined);
}

async function readDescriptor(tree: Tree, path: string): Promise<GuestFirmware | undefined> {
  const text = await tree.text(path);
  if (text === undefined || text === "") return undefined;
  const firmware = parseFirmware(text);
  if (!firmware) tree.complain(path, "is no firmware descriptor");
  return firmware;
}

/** Undefined when the text is not a descriptor. */
function parseFirmware(text: string): GuestFirmware | undefined {
  const parsed = descriptor.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { mapping, ...rest } = parsed.data;
  return {
    description: rest.description,
    interfaces: rest["interface-types"],
    device: mapping.device,
    loaderPath: mapping.executable?.filename ?? mapping.filename,
    loaderFormat: mapping.executable?.format,
    nvramTemplatePath: mapping["nvram-template"]?.filename,
    nvramTemplateFormat: mapping["nvram-template"]?.format,
    features: rest.features,
    targets: rest.targets,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
