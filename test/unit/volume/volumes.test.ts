/** Which network disks can stay where they are while their server moves, and how QEMU is told to reach one. */

import { describe, expect, it } from "vitest";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import type { Argv } from "../../../agent/os/tool.js";
import { reachVolume, whyBound } from "../../../agent/volume/volumes.js";
import { Fault } from "../../../proto/fault.js";

const disk = (source: string, driver = "<driver name='qemu' type='raw'/>", rest = "") => {
  const xml = `<domain type='qemu'><name>a</name><uuid>11111111-2222-4333-8444-555555555555</uuid><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices><disk type='network' device='disk'>${driver}${source}<target dev='vdb'/>${rest}</disk></devices></domain>`;
  const [found] = readDomain(xml).disks;
  if (found === undefined) throw new Error("no disk");
  return found;
};
const nbd = (host: string, name = "name='web-3'", rest = "") =>
  `<source protocol='nbd' ${name}>${host}${rest}</source>`;
const STORE = "<host name='store' port='10810'/>";

describe("a volume", () => {
  it.each([
    ["an NBD export", nbd(STORE)],
    ["an NBD server's only export, on its usual port", nbd("<host name='10.0.0.1'/>", "")],
    ["a LUN", "<source protocol='iscsi' name='iqn.2013-07.com.example:disks/2'><host name='san'/></source>"],
  ])("that is %s can be reached from any host", (_name, source) => {
    expect(whyBound(disk(source))).toBeUndefined();
  });

  it.each([
    [
      "of another protocol",
      disk("<source protocol='rbd' name='pool/a'><host name='mon'/></source>"),
      /of protocol rbd/,
    ],
    ["on its own host", disk(nbd("<host name='127.0.0.1'/>")), /served by 127\.0\.0\.1/],
    ["on a host that every host is", disk(nbd("<host name='localhost'/>")), /served by localhost/],
    ["behind a socket", disk(nbd("<host transport='unix' socket='/run/nbd.sock'/>")), /reached by unix/],
    ["on several servers", disk(nbd(STORE + STORE)), /names 2 servers/],
    ["on none", disk(nbd("")), /names 0 servers/],
    [
      "with certificates of its host",
      disk("<source protocol='nbd' tls='yes'><host name='store'/></source>"),
      /certificates/,
    ],
    [
      "with a secret",
      disk(nbd(STORE, "", "<auth username='a'><secret type='iscsi' usage='u'/></auth>")),
      /secret/,
    ],
    ["that holds a qcow2 image", disk(nbd(STORE), "<driver name='qemu' type='qcow2'/>"), /format qcow2/],
    [
      "without a LUN's name",
      disk("<source protocol='iscsi' name='disks'><host name='san'/></source>"),
      /IQN\/LUN/,
    ],
  ])("%s is bound to its host", (_name, bound, reason) => {
    expect(whyBound(bound)).toMatch(reason);
  });

  const reach = async (source: string, answer: () => string) => {
    const asked: Argv[] = [];
    const runTool = async (argv: Argv) => {
      asked.push(argv);
      return answer();
    };
    const volume = await reachVolume(disk(source), { runTool });
    return { volume, node: JSON.parse(asked[0]?.[3]?.replace(/^json:/, "") ?? "") };
  };
  const size = () => JSON.stringify({ "virtual-size": 1_048_576 });

  it("is reached as raw, with nothing left to be found out", async () => {
    const { volume, node } = await reach(nbd(STORE), size);
    expect(volume).toEqual({ uri: "nbd://store:10810/web-3", sizeBytes: 1_048_576 });
    const server = { type: "inet", host: "store", port: "10810" };
    expect(node).toEqual({ driver: "raw", file: { driver: "nbd", server, export: "web-3" } });
  });

  it("is a LUN by the name that libvirt writes", async () => {
    const source =
      "<source protocol='iscsi' name='iqn.2013-07.com.example:disks/2'><host name='fd00::1'/></source>";
    const { volume, node } = await reach(source, size);
    expect(volume.uri).toBe("iscsi://[fd00::1]:3260/iqn.2013-07.com.example:disks/2");
    expect(node.file).toMatchObject({
      portal: "[fd00::1]:3260",
      target: "iqn.2013-07.com.example:disks",
      lun: 2,
    });
  });

  it("that does not answer is unknown, and says which one it is", async () => {
    const silent = () => {
      throw new Fault("timeout", "qemu-img did not end within 15 s");
    };
    await expect(reach(nbd(STORE), silent)).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringContaining("reach nbd://store:10810/web-3"),
    });
  });
});
