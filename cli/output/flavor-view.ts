/** Flavors as tables. */

import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { pairs } from "./pairs.js";
import type { Column, Field } from "./table.js";

export const FLAVOR_COLUMNS: readonly Column<Flavor>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "Name", value: ({ name }) => name },
  { title: "VCPUs", value: ({ vcpus }) => String(vcpus), right: true },
  { title: "RAM", value: ({ ramMib }) => `${ramMib} MiB`, right: true },
  { title: "Disk", value: ({ rootGib }) => `${rootGib} GiB`, right: true },
  { title: "Ephemeral", value: ({ ephemeralGib }) => `${ephemeralGib} GiB`, right: true },
  { title: "Swap", value: ({ swapMib }) => `${swapMib} MiB`, right: true },
  { title: "Properties", value: ({ extraSpecs }) => pairs(extraSpecs) },
];

export const flavorFields = (flavor: Flavor): Field[] =>
  FLAVOR_COLUMNS.map(({ title, value }) => [title.toLowerCase(), value(flavor)]);

/** `m1.small (1 vcpu, 512 MiB, root 4 GiB, swap 64 MiB)` */
export function flavorSummary({ name, vcpus, ramMib, rootGib, ephemeralGib, swapMib }: Flavor): string {
  const optional = [
    ephemeralGib > 0 ? `, ephemeral ${ephemeralGib} GiB` : "",
    swapMib > 0 ? `, swap ${swapMib} MiB` : "",
  ];
  return `${name} (${vcpus} vcpu, ${ramMib} MiB, root ${rootGib} GiB${optional.join("")})`;
}
