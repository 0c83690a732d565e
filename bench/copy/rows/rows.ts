/** Every row by name, and which of them a data set is measured with when nobody says. */

import { Fault } from "../../../proto/fault.js";
import { cp } from "./cp.js";
import {
  ferryDeltaKept,
  ferryDeltaReread,
  ferryTls,
  ferryTlsNoverify,
  ferryTlsPlain,
  ferryTlsZstd,
} from "./ferry.js";
import { nbdPlain, nbdTls } from "./nbd.js";
import type { Row } from "./row.js";
import {
  rsyncDelta,
  rsyncSparse,
  rsyncSparseCompress,
  rsyncSparseGcm,
  rsyncWhole,
  scp,
  scpGcm,
} from "./ssh.js";
import { tcp } from "./tcp.js";

const COPIES: readonly Row[] = [
  ferryTls(1),
  ferryTls(2),
  ferryTlsNoverify(1),
  ferryTlsNoverify(2),
  scp,
  scpGcm,
  rsyncSparse,
  rsyncSparseCompress,
  rsyncWhole,
  nbdPlain,
  nbdTls,
  tcp,
  cp,
];

/** Measured only when asked for by name. */
const MORE: readonly Row[] = [ferryTls(4), ferryTlsPlain, ferryTlsZstd, rsyncSparseGcm];

const DELTAS: readonly Row[] = [ferryDeltaKept, ferryDeltaReread, rsyncDelta, rsyncWhole, cp];

export const ROWS: readonly Row[] = [...new Set([...COPIES, ...MORE, ...DELTAS])];

export const isFerry = ({ name }: Row): boolean => name.startsWith("ferry-");

export const defaultRows = (dataSet: string): readonly Row[] => (dataSet === "delta" ? DELTAS : COPIES);

export function rowsNamed(list: string): readonly Row[] {
  const names = [...new Set(list.split(",").map(name => name.trim()))].filter(Boolean);
  if (names.length === 0) throw new Fault("invalid-argument", "no rows were named");
  return names.map(name => {
    const row = ROWS.find(known => known.name === name);
    if (row !== undefined) return row;
    throw new Fault("invalid-argument", `there is no row ${JSON.stringify(name)}`, {
      need: ROWS.map(known => known.name).join(", "),
    });
  });
}
