/** Whole copies, copies that are cut, noise in frames and in records, and headers of all kinds; a leak check at the end. */

import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { ALERT, DATA, HANDSHAKE, RecordPeer } from "../support/record-peer.ts";
import { transferPair } from "./transfer-pair.mjs";

const rounds = Number(process.argv[3]);
const { addon, port, material, accept, connect, copy, dispose } = await transferPair(process.argv[2]);
const soon = () => pause(Math.random() * 40);

async function oneRound() {
  if (!(await copy())) throw new Error("the copy differs");
  await copy(dialled => void soon().then(() => dialled.sever()));
  await copy((_, accepted) => void soon().then(() => accepted.refuse(Buffer.from("{}"), 200)));
  await copy((dialled, accepted) => {
    accepted.setTaps(undefined, undefined);
    void soon().then(() => dialled.ping());
  });
  const { dialled, accepted } = await connect();
  const refused = accepted.receive().catch(error => error.code);
  // A `have` frame of noise, then a header that is none: only its own side may say so.
  await dialled.send(4, 0, 65_535, 2 ** 53 - 1, new Uint8Array(32), randomBytes(128 * 1024));
  await refused;
  dialled.sever();
  accepted.sever();
}

/** A peer whose handshake is good, and whose records are not. */
async function strangeRecords() {
  const noise = () => randomBytes(Math.floor(Math.random() * 20_000));
  const types = [0, 1, 20, ALERT, HANDSHAKE, DATA, 99];
  for (let count = 0; count < 20; count++) {
    const accepting = accept();
    const peer = await RecordPeer.connect(port, material);
    const accepted = await accepting;
    const refused = accepted.receive().catch(error => error.code);
    const sealed = peer.seal(types[count % types.length], noise().subarray(0, 16_384), count % 3);
    if (count % 2 === 0) sealed[Math.floor(Math.random() * sealed.length)] ^= 1;
    peer.end(sealed, noise());
    await refused;
    accepted.sever();
  }
}

function headers() {
  for (let count = 0; count < 20_000; count++) {
    const header = randomBytes(60);
    if (count % 2 === 0) header.writeUInt32LE(0x31595246, 0);
    if (count % 4 === 0) header.writeUInt8(count % 20, 4);
    try {
      addon.checkHeader(header);
    } catch (error) {
      if (error.code !== "ERR_TRANSFER_PROTOCOL") throw error;
    }
  }
}

headers();
for (let round = 0; round < rounds; round++) {
  await oneRound();
  await strangeRecords();
  global.gc?.();
}
dispose();
if (addon.leakCheck?.() === false) process.exit(23);
