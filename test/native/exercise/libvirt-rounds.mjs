/**
 * Repeats everything that makes handles, leaving half of them to the garbage collector, and prints the resident size
 * of each fifth as JSON. Under a sanitizer it ends with a leak check.
 */

import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";

const virt = createRequire(import.meta.url)(process.argv[2]);
const rounds = Number(process.argv[3]);
virt.init(Error);

const XML = `<domain type='test'><name>rounds</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;

async function oneRound(connect, number) {
  const domain = await connect.lookupByName("test");
  await Promise.all([domain.getInfo(), domain.getXMLDesc(0), domain.listAllSnapshots(0, 0)]);
  for (const other of await connect.listAllDomains(0)) void other.uuid;
  for (const pool of await connect.listAllStoragePools(0)) await pool.getInfo();
  await connect.listAllNetworks(0);
  await connect.getAllDomainStats(0, 0);
  await connect.lookupByName("nobody").catch(() => undefined);
  const made = await connect.defineXML(XML, 0);
  await made.undefine(0);
  if (number % 2 === 0) domain.free();
  if (number % 50 !== 0) return;
  const extra = await virt.open("test:///default", 0);
  const id = await extra.onLifecycle(() => undefined);
  if (number % 100 === 0) await extra.removeListener(id);
  if (number % 150 !== 0) await extra.close();
}

const connect = await virt.open("test:///default", 0);
await connect.onLifecycle(() => undefined);
const residentMib = [];
for (let fifth = 0; fifth < 5; fifth++) {
  for (let index = 1; index <= rounds / 5; index++) await oneRound(connect, index);
  globalThis.gc();
  await delay(50);
  residentMib.push(Math.round(process.memoryUsage().rss / 2 ** 20));
}
await connect.close();
globalThis.gc();
await delay(200);
process.stdout.write(`${JSON.stringify({ residentMib })}\n`);
if (virt.leakCheck?.() === false) process.exit(23);
