/** LUNs of an iSCSI target, by QEMU's own initiator (Debian: qemu-block-extra). libvirt writes them "IQN/LUN". */

import type { VolumeDriver } from "./volume-driver.js";

const NAME = /^((?:iqn|eui|naa)\.[^/]+)(?:\/(\d{1,5}))?$/;

export const iscsi: VolumeDriver = {
  protocol: "iscsi",
  defaultPort: 3260,
  whyBound: ({ name }) =>
    NAME.test(name) ? undefined : `has no name of the form IQN/LUN but ${name || "none"}`,
  blockNode(name, { host, port }) {
    const [, target = "", lun = "0"] = NAME.exec(name) ?? [];
    const portal = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    return { driver: "iscsi", transport: "tcp", portal, target, lun: Number(lun) };
  },
};
