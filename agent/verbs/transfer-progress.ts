/** Progress of a transfer as it is reported to the controller. */

import type { Progress } from "../../proto/gen/ferry/v1/model.js";
import type { TransferProgress } from "../transfer/progress.js";

export const progressOf = ({ files, ...sums }: TransferProgress): Progress => ({
  ...sums,
  files: [...files],
});
