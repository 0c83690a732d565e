/** The lab of the crash matrix: two hosts whose disks forget, and daemons that can be held at a line of their log. */

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
