/**
 * The OpenStack clients as Debian ships them, driving Ferry as they drive Nova: the command line, the old nova client and
 * the SDK, with a login at the identity service, over TLS. Guests are real and move between real hosts.
 */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { PATIENCE_MS, waitFor } from "./lab.js";
import { BASE_IMAGE, bootOf, fleetUp } from "./support/fleet.js";

let lab: Lab;

beforeAll(async () => {
  lab = await fleetUp({ id: "openstack", hosts: 2 });
  await openstack("flavor create --ram 192 --disk 1 --ephemeral 1 --swap 64 --vcpus 2 --id 7 m1.big");
  await openstack(
    "server create --image lab --flavor m1.lab --availability-zone nova:h1 --nic none --wait vm1",
  );
  await bootOf(lab, "h1", "vm1", 1);
});
afterAll(() => lab.down());

/** Standard output of a client's command that has to succeed. */
async function client(program: "openstack" | "nova", words: string): Promise<string> {
  // Some wait until a server has moved.
  const patience = { timeoutMs: PATIENCE_MS };
  const { code, stdout, stderr } = await lab.exec("ctl", [program, ...words.split(" ")], patience);
  assert.equal(code, 0, `${program} ${words}: ${stderr || stdout}`);
  return stdout;
}
const openstack = (words: string) => client("openstack", words);
const nova = (words: string) => client("nova", words);

async function list(words: string): Promise<Record<string, unknown>[]> {
  return JSON.parse(await openstack(`${words} -f json`));
}
const show = async (): Promise<Record<string, unknown>> =>
  JSON.parse(await openstack("server show vm1 -f json"));

async function until(status: string): Promise<void> {
  const isThere = async () => (await show()).status === status;
  await waitFor(isThere, { deadlineMs: PATIENCE_MS, what: `vm1 is ${status}` });
}

describe("openstack", () => {
  it("shows the fleet and the server as Nova's", async () => {
    expect(await list("compute service list")).toMatchObject([
      { Binary: "nova-compute", Host: "h1", Status: "enabled", State: "up" },
      { Host: "h2" },
    ]);
    expect(await list("hypervisor list")).toMatchObject([{ "Hypervisor Hostname": "h1", State: "up" }, {}]);
    expect(await openstack("hypervisor show h1")).toMatch(/hypervisor_version +\| [78]\d{6}/);
    expect(await list("server list")).toMatchObject([
      { Name: "vm1", Status: "ACTIVE", Image: "lab", Flavor: "m1.lab" },
    ]);
    expect(await show()).toMatchObject({ "OS-EXT-SRV-ATTR:host": "h1", project_id: "lab", user_id: "admin" });
  });

  it("migrates to a host that is named, waits, and confirms", async () => {
    expect(await openstack("server migrate --host h2 --wait vm1")).toContain("Complete");
    expect(await show()).toMatchObject({ status: "VERIFY_RESIZE", "OS-EXT-SRV-ATTR:host": "h2" });
    await bootOf(lab, "h2", "vm1", 2);
    await openstack("server migration confirm vm1");
    await until("ACTIVE");
  });

  it("resizes, and confirms", async () => {
    expect(await openstack("server resize --flavor m1.big --wait vm1")).toContain("Complete");
    await openstack("server resize confirm vm1");
    await until("ACTIVE");
    expect(await list("server list")).toMatchObject([{ Flavor: "m1.big" }]);
  });

  it("tells what was asked, and what became of it", async () => {
    const actions = (await list("server event list vm1")).map(event => event.Action);
    expect(actions).toEqual(["confirmResize", "resize", "confirmResize", "migrate", "start", "create"]);
    expect(await list("server migration list")).toMatchObject([
      { Type: "resize", Status: "confirmed" },
      { Type: "migration", Status: "confirmed", "Source Compute": "h1", "Dest Compute": "h2" },
    ]);
  });

  it("hides from a member what is an administrator's", async () => {
    const asDemo = (words: string) =>
      lab.exec("ctl", ["env", "OPENRC=/etc/ferry/openrc-demo", "openstack", ...words.split(" ")]);
    const shown = await asDemo("server show vm1 -f json");
    expect(JSON.parse(shown.stdout)).not.toHaveProperty("OS-EXT-SRV-ATTR:host");
    const refused = await asDemo("server migrate vm1");
    expect(refused.stderr).toContain(
      "Policy doesn't allow os_compute_api:os-migrate-server:migrate to be performed.",
    );
  });
});

describe("nova and openstacksdk", () => {
  it("migrate without a host, revert, and list both", async () => {
    const before = (await show())["OS-EXT-SRV-ATTR:host"];
    expect(await nova("migrate --poll vm1")).toContain("Finished");
    const script = `
import openstack
cloud = openstack.connect()
(server,) = cloud.compute.servers()
print(server.name, server.status, sorted(h.name for h in cloud.compute.hypervisors()))
cloud.compute.revert_server_resize(server)
cloud.compute.wait_for_server(server, status="ACTIVE", interval=1, wait=200)
print([m.status for m in cloud.compute.migrations()])`;
    const words = ["sh", "-c", '. /etc/ferry/openrc; exec /usr/bin/python3 -c "$1"', "sdk", script];
    const said = "vm1 VERIFY_RESIZE ['h1', 'h2']\n['reverted', 'confirmed', 'confirmed']";
    expect(await lab.output("ctl", words)).toBe(said);
    expect((await show())["OS-EXT-SRV-ATTR:host"]).toBe(before);
    expect(await nova("migration-list")).toMatch(/ reverted [\s\S]* confirmed /);
  });
});

describe("the end", () => {
  it("leaves nothing on either host but the images that the server was made from", async () => {
    await openstack("server delete --wait vm1");
    expect(await list("server list")).toEqual([]);
    for (const host of ["h1", "h2"] as const) {
      expect(await lab.output(host, ["virsh", "-q", "list", "--all", "--name"])).toBe("");
      const images = await lab.output(host, ["find", "/var/lib/libvirt/images", "-type", "f"]);
      expect(images.split("\n")).toEqual([BASE_IMAGE]);
    }
  });
});
