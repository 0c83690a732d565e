/** The hints same_host and different_host: where other servers are. They hold for every move of the server. */

import type { Filter } from "../filter.js";

export const sameHostFilter: Filter = {
  name: "SameHostFilter",
  prepare({ sameHost }) {
    if (sameHost.length === 0) return undefined;
    return {
      passes: ({ servers }) => sameHost.some(server => servers.has(server)),
      why: ({ name }) => ({
        message: `the server was to be on the same host as another one that is not on ${name}`,
        have: `none of them on ${name}`,
        need: `the host of ${sameHost.join(" or ")}`,
        fix: "move that server first, or both stay",
      }),
    };
  },
};

export const differentHostFilter: Filter = {
  name: "DifferentHostFilter",
  prepare({ differentHost }) {
    if (differentHost.length === 0) return undefined;
    return {
      passes: ({ servers }) => !differentHost.some(server => servers.has(server)),
      why: ({ name, servers }) => ({
        message: `the server was to be on another host than one that is on ${name}`,
        have: `${differentHost.filter(server => servers.has(server)).join(", ")} on ${name}`,
        need: "a host without it",
        fix: "choose another host",
      }),
    };
  },
};
