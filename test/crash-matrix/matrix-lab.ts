/** The lab of the crash matrix: two hosts whose disks forget, and daemons that can be held at a line of their log. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Lab } from "../lab/lab.js";
import { Traveller } from "./traveller.js";

export async function matrixLab(id: string): Promise<{ lab: Lab; traveller: Traveller }> {
  const lab = await Lab.up({ id, hosts: 2, env: { LAB_DISK: "volatile", LAB_STOPS: "1" } });
  try {
    return { lab, traveller: await Traveller.adopt(lab, "web") };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** In all power cuts of this lab so far. */
export async function writesLost(lab: Lab): Promise<number> {
  const logs = ["h1", "h2"].map(host => join(lab.directory, host, "disk/replay.log")).filter(existsSync);
  const texts = await Promise.all(logs.map(log => readFile(log, "utf8")));
  return [...texts.join("").matchAll(/lost (\d+)/g)].reduce((sum, [, lost]) => sum + Number(lost), 0);
}
