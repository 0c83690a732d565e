/** Exports of an NBD server: nbdkit, qemu-nbd, qemu-storage-daemon. */

import type { VolumeDriver } from "./volume-driver.js";

export const nbd: VolumeDriver = {
  protocol: "nbd",
  defaultPort: 10_809,
  blockNode: (name, { host, port }) => ({
    driver: "nbd",
    server: { type: "inet", host, port: String(port) },
    ...(name === "" ? {} : { export: name }),
  }),
};
