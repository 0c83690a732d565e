/**
 * What came back from a backup, and what does not come back (SAFETY R13, R14, R21): a host's disk, the controller's
 * database, a host that a person declares dead.
 */

import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import { IMAGE_DIR } from "./guest.js";
import { type Host, Lab, PATIENCE_MS, waitFor } from "./lab.js";
import { ferry, ferryJson, LabServer } from "./lab-server.js";
import { NeverTwice } from "./never-twice.js";
import { NO_TRACES, tracesOf } from "./traces.js";

/** What a host keeps and Ferry and libvirt go by. */
const placesOf = (host: Host) =>
  ["/var/lib/ferry", "/var/lib/libvirt", "/etc/libvirt"].map(path => lab.path(host, path));

const REASON = "its mainboard is on my desk";

let lab: Lab;
let guard: NeverTwice;
let server: LabServer;

beforeAll(async () => {
  lab = await Lab.up({ id: "recovery", hosts: 2 });
  guard = new NeverTwice();
  server = await LabServer.adopt(lab, "h1", { name: "web", isOff: true });
  // Of the day on which the server was at home there and had never been elsewhere.
  await lab.stop("h1");
  for (const place of placesOf("h1"))
    await cp(place, `${place}.backup`, { recursive: true, preserveTimestamps: true });
  await lab.start("h1");
  await server.start();
  await lab.waitForConsole("h1", "web", / READY/);
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

const remarkOf = async (host: Host): Promise<string> => {
  const hosts = await ferryJson<{ name: string; hookProblem: string }[]>(lab, "host", "list");
  return hosts.find(({ name }) => name === host)?.hookProblem ?? "";
};

const isUp = (host: Host) =>
  waitFor(
    async () =>
      (await ferryJson<{ name: string; state: string }[]>(lab, "host", "list")).some(
        one => one.name === host && one.state === "up",
      ),
    {
      deadlineMs: PATIENCE_MS,
      what: `${host} is up`,
    },
  );

/** Refused until the controller has made up for what the host missed. */
const enable = (host: Host) =>
  waitFor(async () => (await lab.ferry("host", "enable", host)).code === 0, {
    deadlineMs: PATIENCE_MS,
    what: `${host} can be enabled`,
  });

async function moveTo(target: Host): Promise<string> {
  const id = await waitFor(() => server.migrate(target).catch(() => undefined), {
    deadlineMs: PATIENCE_MS,
    what: `a migration to ${target} begins`,
  });
  expect(await server.rested(id)).toMatchObject({ status: "finished" });
  return id;
}

it("a server comes back from a target that was declared dead, which starts nothing when it returns", async () => {
  const id = await moveTo("h2");
  await lab.output("h2", ["virsh", "-q", "autostart", "web"]);
  await lab.kill("h2");
  expect((await lab.ferry("migration", "recover", id, "--fenced-host", "h2")).stderr).toContain("--reason");
  const word = ["--fenced-host", "h2", "--reason", REASON];
  expect(await ferry(lab, "migration", "recover", id, ...word, "--plan")).toContain(
    "ferry server revert web",
  );
  expect((await server.migration(id)).status).toBe("finished");
  await ferry(lab, "migration", "recover", id, ...word);
  await server.revert();
  await server.processOn("h1");
  await server.dataIntact("h1", 2);

  // Its old state lets it start the server by autostart, until its agent has heard from the controller: so a host that
  // was declared dead is brought back without that.
  await rm(lab.path("h2", "/etc/libvirt/qemu/autostart/web.xml"));
  await lab.start("h2");
  await waitFor(async () => (await remarkOf("h2")).includes("declared h2 dead"), {
    deadlineMs: PATIENCE_MS,
    what: "h2 is known to be in quarantine",
  });
  await enable("h2");
  expect(await remarkOf("h2")).toBe("");
  expect(await tracesOf(server, "h2")).toMatchObject(NO_TRACES);
  await server.processOn("h1");
});

it("a database from a backup freezes everything, and learns from the agents where the server is", async () => {
  await lab.controller("stop");
  const databases = () =>
    readdir(folder).then(names => names.filter(name => name.startsWith("controller.db")));
  const folder = lab.path("ctl", "/var/lib/ferry-controller");
  const backup = `${folder}.backup`;
  await mkdir(backup);
  for (const name of await databases()) await cp(join(folder, name), join(backup, name));
  await lab.controller("start");
  await isUp("h2");
  await moveTo("h2");
  await server.confirm();
  await lab.controller("stop");
  for (const name of await databases()) await rm(join(folder, name));
  for (const name of await readdir(backup)) await cp(join(backup, name), join(folder, name));
  await lab.controller("start");

  const refused = await waitFor(
    async () => {
      const { stderr } = await lab.ferry("server", "stop", "web");
      return /stands still/.test(stderr) ? stderr : undefined;
    },
    { deadlineMs: PATIENCE_MS, what: "the controller has noticed" },
  );
  expect(refused).toMatch(/h[12] has seen epoch \d+ of web, this store knows \d+/);
  await Promise.all([isUp("h1"), isUp("h2")]);
  expect(await ferry(lab, "admin", "epoch-raise", "--plan")).toContain("home h1 → h2");
  await ferry(lab, "admin", "epoch-raise");
  expect(await ferryJson<Server>(lab, "server", "show", "web")).toMatchObject({
    host: "h2",
    status: "ACTIVE",
  });
  expect(JSON.parse(await ferry(lab, "-o", "json", "admin", "audit"))).toEqual([]);
  await server.processOn("h2");
});

it("a host restored from a backup has its former copy of a server that moved on denied, kept, and not started", async () => {
  await lab.stop("h1");
  for (const place of placesOf("h1")) {
    await rm(place, { recursive: true });
    await cp(`${place}.backup`, place, { recursive: true, preserveTimestamps: true });
  }
  await lab.start("h1");

  await waitFor(async () => /went back|two agents/.test(await remarkOf("h1")), {
    deadlineMs: PATIENCE_MS,
    what: "the restored host is in quarantine",
  });
  await waitFor(async () => (await tracesOf(server, "h1")).verdict === "deny", {
    deadlineMs: PATIENCE_MS,
    what: "its copy is disowned",
  });
  const started = await lab.exec("h1", ["virsh", "start", "web"]);
  expect(started.stderr).toMatch(/ferry: refused to prepare web: .*lives on h2/);
  await server.processOn("h2");
  expect(await tracesOf(server, "h1")).toMatchObject({ isDefined: true });
  expect((await lab.exec("h1", ["ls", `${IMAGE_DIR}/web.qcow2`])).code).toBe(0);
  await enable("h1");
});
