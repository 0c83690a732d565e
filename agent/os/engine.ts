/** The native engine that moves disk data, for those who may not touch `native/` themselves. */

import { loadTransfer, type Transfer } from "../../native/lib/transfer.js";

export type {
  CompressionPolicy,
  Connection,
  Listener,
  Part,
  PartTable,
  RawFrame,
  RawTap,
  SegmentQueue,
  TokenBucket,
} from "../../native/lib/transfer.js";

export type Engine = Transfer;

/** @throws AddonUnavailableError when the addon was not built. */
export const nativeEngine = (): Engine => loadTransfer();
