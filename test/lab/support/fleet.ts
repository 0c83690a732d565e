/**
 * A lab as its operator uses it: servers are made and moved with the ferry command alone, and what it answers is
 * taken from `-o json`. What happened on the hosts is looked up without Ferry: see host-files.ts.
 */

import assert from "node:assert/strict";
import type { Migration, Server } from "../../../proto/gen/ferry/v1/model.js";
import { type Host, Lab, type LabOptions } from "../lab.js";

export const IMAGES = "/var/lib/libvirt/images";
export const BASE_IMAGE = `${IMAGES}/base.qcow2`;
const FLAVOR = "m1.lab";

/** A lab with a flavor, and with the guest's image on h1. */
export async function fleetUp(options: LabOptions): Promise<Lab> {
  const lab = await Lab.up(options);
  try {
    const folder = await lab.guestFolder();
    await lab.output("h1", ["cp", `${folder}/base.qcow2`, BASE_IMAGE]);
    const size = ["--vcpus", "1", "--ram", "160", "--disk", "1", "--ephemeral", "1", "--swap", "64"];
    await ferry(lab, "flavor", "create", FLAVOR, ...size);
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** Standard output of a ferry command that has to succeed. */
export async function ferry(lab: Lab, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await lab.ferry(...args);
  assert.equal(code, 0, `ferry ${args.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

/** On h1, from the image there. */
export async function createServer(lab: Lab, name: string, ...options: readonly string[]): Promise<void> {
  const image = ["--image", BASE_IMAGE, "--image-format", "qcow2"];
  await ferry(lab, "server", "create", name, "--flavor", FLAVOR, ...image, "--host", "h1", ...options);
}

/** Waits until the guest's boot of that number is over; what it said meanwhile. */
export async function bootOf(lab: Lab, host: Host, name: string, boots: number): Promise<string> {
  const pattern = new RegExp(
    ` UP kernel(?:(?! UP kernel)[\\s\\S])*MARKER-\\S+ \\S+ boots=${boots} [\\s\\S]*? READY`,
  );
  return (await lab.waitForConsole(host, name, pattern))[0];
}

export async function serverOf(lab: Lab, name: string): Promise<Server> {
  return JSON.parse(await ferry(lab, "server", "show", name, "-o", "json"));
}

/** The newest migration of a server, as `ferry migration show` tells it. */
export async function migrationOf(lab: Lab, name: string): Promise<Migration> {
  const all: readonly Migration[] = JSON.parse(await ferry(lab, "migration", "list", "-o", "json"));
  const newest = all.find(({ serverName }) => serverName === name);
  assert(newest !== undefined, `${name} was never migrated`);
  return JSON.parse(await ferry(lab, "migration", "show", newest.id, "-o", "json"));
}

export async function migrate(
  lab: Lab,
  name: string,
  host: Host,
  ...options: readonly string[]
): Promise<Migration> {
  await ferry(lab, "server", "migrate", name, "--host", host, "--wait", ...options);
  return migrationOf(lab, name);
}

export async function confirm(lab: Lab, name: string): Promise<void> {
  await ferry(lab, "server", "confirm", name, "--wait");
}

export async function revert(lab: Lab, name: string): Promise<void> {
  await ferry(lab, "server", "revert", name, "--yes", "--wait");
}
