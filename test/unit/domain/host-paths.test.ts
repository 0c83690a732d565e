import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostPaths } from "../../../agent/domain/host-paths.js";
import { parseXml } from "../../../agent/domain/xml-document.js";
import { everythingXml, inactiveXml } from "./fixtures.js";

const listed = (xml: string) =>
  hostPaths(parseXml(xml, "domain")).map(({ class: kind, path }) => `${kind} ${path}`);

describe("host paths", () => {
  it("of a plain guest are its disks, logs, emulator, listen address and random source", () => {
    const images = "/var/lib/libvirt/images";
    expect(listed(inactiveXml)).toEqual([
      "emulator /usr/bin/qemu-system-x86_64",
      `disk ${images}/disk`,
      `disk ${images}/disk.eph0`,
      `disk ${images}/disk.swap`,
      `disk ${images}/cd.iso`,
      `serial-file ${images}/console.log`,
      `serial-file ${images}/pty.log`,
      `serial-file ${images}/console.log`,
      "listen 127.0.0.1",
      "listen 127.0.0.1",
      "device /dev/urandom",
    ]);
  });

  it("are all found and classed, wherever they stand", () => {
    expect(listed(everythingXml)).toEqual([
      "device /dev/sda",
      "unknown /etc/fwcfg.bin",
      "loader /usr/share/OVMF/OVMF_CODE_4M.fd",
      "loader /usr/share/OVMF/OVMF_VARS_4M.fd",
      "nvram /var/lib/libvirt/qemu/nvram/kitchen_VARS.fd",
      "kernel /boot/guest/vmlinuz",
      "kernel /boot/guest/initrd",
      "kernel /boot/guest/board.dtb",
      "kernel /etc/slic.bin",
      "emulator /usr/bin/qemu-system-x86_64",
      "disk /images/root.qcow2",
      "disk /images/middle.qcow2",
      "disk /images/base.raw",
      "disk /dev/vg/data",
      "socket /run/vhost-blk.sock",
      "unknown /usr/lib/virtiofsd",
      "share /srv/share",
      "socket /run/vhost-net.sock",
      "unknown /etc/qemu-ifup",
      "device /dev/net/tun",
      "device /dev/vhost-net",
      "serial-file /var/log/passt.log",
      "listen 192.0.2.1",
      "serial-file /var/log/kitchen.log",
      "serial-file /var/log/kitchen-pty.log",
      "device /dev/ttyS0",
      "listen 192.0.2.2",
      "listen *",
      "socket /run/kitchen.sock",
      "socket /run/smartcard.sock",
      "device /dev/tpm0",
      "listen 192.0.2.3",
      "listen 192.0.2.3",
      "socket /run/spice.sock",
      "device /dev/dri/renderD128",
      "device /dev/dsp0",
      "device /dev/dsp1",
      "serial-file /var/log/sound.wav",
      "device /dev/input/event3",
      "device /dev/input/event4",
      "device /dev/urandom",
      "socket /run/egd.sock",
      "device /dev/dax0.0",
      "socket /run/ivshmem.sock",
      "unknown file:/opt/gadget.bin",
      "unknown /opt/blob.bin",
      "unknown file=/etc/shadow,format=raw",
    ]);
  });

  it("in an element or attribute that nobody knows are unknown, never missed", () => {
    const name = fc.stringMatching(/^[a-z]{2,8}$/).map(text => `z${text}`);
    const path = fc.stringMatching(/^\/[a-z/]{1,12}$/);
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 5 }),
        path,
        fc.boolean(),
        (names, value, asText) => {
          const inner = asText ? value : `<leaf at="${value}"/>`;
          const opened = names.map(each => `<${each}>`).join("");
          const closed = names
            .map(each => `</${each}>`)
            .toReversed()
            .join("");
          expect(listed(`<domain><devices>${opened}${inner}${closed}</devices></domain>`)).toEqual([
            `unknown ${value}`,
          ]);
        },
      ),
    );
  });
});
