/**
 * The story as text: what was asked of whom at which epoch, and what the server and the migration were at the time. A
 * change of the story shows as a change of these files; `vitest -u` writes them anew.
 */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listServers } from "../../controller/store/servers.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";

let center: Datacenter;
let lines: string[];

beforeEach(async () => {
  center = await Datacenter.open();
  lines = [];
  let before = "";
  const { agents } = center;
  const perform = agents.perform.bind(agents);
  agents.perform = async (host, request, options) => {
    const now = await standing();
    if (now !== before) lines.push(`# ${now}`);
    before = now;
    lines.push(`${host} ${request.verb?.$case} epoch ${request.epoch}`);
    return perform(host, request, options);
  };
});
afterEach(() => center.close());

/** As in the table of the story: task_state · status · host. */
async function standing(): Promise<string> {
  const [server] = await listServers(center.store.queries);
  const { status } = await center.migration();
  return `${server?.taskState || "–"} · ${status || "–"} · ${server?.host}`;
}

async function transcript(): Promise<string> {
  return [...lines, `# ${await standing()}`, "", "events:", ...(await center.events()), ""].join("\n");
}

describe("a migration", () => {
  it("that is confirmed", async () => {
    await center.migrate();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "ada");
    await center.ended();
    await expect(await transcript()).toMatchFileSnapshot("confirmed.txt");
  });

  it("that is reverted", async () => {
    await center.migrate();
    await center.rest();
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "ada" });
    await center.ended();
    await expect(await transcript()).toMatchFileSnapshot("reverted.txt");
  });

  it("whose copy fails", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "fail" });
    await center.migrate();
    await center.ended();
    await expect(await transcript()).toMatchFileSnapshot("failed-copy.txt");
  });
});
