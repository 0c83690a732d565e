/** The hints same_host and different_host: where other servers are. They hold for every move of the server. */

import { type Filter, PASS, refused } from "../filter.js";

export const sameHostFilter: Filter = {
  name: "SameHostFilter",
  prepare({ sameHost }) {
    if (sameHost.length === 0) return undefined;
    return host => {
      if (sameHost.some(server => host.servers.has(server))) return PASS;
      return refused(host, {
        message: `the server was to be on the same host as another one that is not on ${host.name}`,
        have: `none of them on ${host.name}`,
        need: `the host of ${sameHost.join(" or ")}`,
        fix: "move that server first, or both stay",
      });
    };
  },
};

export const differentHostFilter: Filter = {
  name: "DifferentHostFilter",
  prepare({ differentHost }) {
    if (differentHost.length === 0) return undefined;
    return host => {
      const found = differentHost.filter(server => host.servers.has(server));
      if (found.length === 0) return PASS;
      return refused(host, {
        message: `the server was to be on another host than one that is on ${host.name}`,
        have: `${found.join(", ")} on ${host.name}`,
        need: "a host without it",
        fix: "choose another host",
      });
    };
  },
};
