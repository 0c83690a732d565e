/** Ends the process at a random moment with calls, events and stuck workers in flight. Exit code 7 is success. */

import { createRequire } from "node:module";

const virt = createRequire(import.meta.url)(process.argv[2]);
virt.init(Error);

const connects = await Promise.all([1, 2, 3].map(() => virt.open("test:///default", 0)));
for (const connect of connects) await connect.onLifecycle(() => undefined);
const domain = await connects[0].lookupByName("test");
const askForever = async () => {
  for (;;) await Promise.all([domain.getState(), domain.getXMLDesc(0), connects[1].listAllDomains(0)]);
};
const changeForever = async () => {
  for (;;) {
    await domain.destroy(0);
    await domain.create(0);
  }
};
for (let index = 0; index < 5; index++) askForever();
changeForever();
virt.block(20_000);
setTimeout(() => process.exit(7), Math.random() * 60);
