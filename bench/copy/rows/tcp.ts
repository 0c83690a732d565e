/** Plain TCP through socat: the floor of a copy between machines, every byte once, nothing else. */

import type { Row } from "./row.js";

const BUFFER = ["-b", String(1024 * 1024)];

export const tcp: Row = {
  name: "tcp",
  summary: "not encrypted, nothing checked",
  needs: ["socat"],
  prepare: async stage => {
    const port = await stage.freePort();
    const { address } = stage.network;
    const listen = `TCP-LISTEN:${port},bind=${address},reuseaddr`;
    const server = stage.start("target", ["socat", "-u", ...BUFFER, listen, `CREATE:${stage.target}`]);
    await stage.listening(server, port);
    return {
      copy: async () => {
        await stage.run("source", [
          "socat",
          "-u",
          ...BUFFER,
          `FILE:${stage.source}`,
          `TCP:${address}:${port}`,
        ]);
        await server.ended;
        return undefined;
      },
    };
  },
};
