/** How many servers a host holds, and how many of them are being made, moved or resized at the same time. */

import type { Filter } from "../filter.js";

export const numInstancesFilter: Filter = {
  name: "NumInstancesFilter",
  prepare: (_request, { max_instances_per_host: most }) => ({
    passes: ({ servers }) => servers.size < most,
    why: ({ name, servers }) => ({
      message: `host ${name} has as many servers as a host may have`,
      have: `${servers.size} servers`,
      need: `fewer than ${most}`,
      fix: "migrate servers away from it, or raise max_instances_per_host in controller.toml",
    }),
  }),
};

export const ioOpsFilter: Filter = {
  name: "IoOpsFilter",
  prepare: (_request, { max_io_ops_per_host: most }) => ({
    passes: ({ ioOperations }) => ioOperations < most,
    why: ({ name, ioOperations }) => ({
      message: `host ${name} is busy with other servers`,
      have: `${ioOperations} servers that are made, moved or resized there now`,
      need: `fewer than ${most}`,
      fix: "try again later, or raise max_io_ops_per_host in controller.toml",
    }),
  }),
};
