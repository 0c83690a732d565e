/** `cp --sparse=always`: the floor of a copy on one machine. */

import type { Row } from "./row.js";

export const cp: Row = {
  name: "cp",
  summary: "local, nothing checked",
  needs: ["cp"],
  prepare: async stage => ({
    copy: async () => {
      await stage.run("source", ["cp", "--sparse=always", stage.source, stage.target]);
      return undefined;
    },
  }),
};
