/** What comes over the network: messages of the transfer, its frames, and gRPC's. */

import {
  decodeError,
  decodeHello,
  decodeOpen,
  decodeWelcome,
  encodeError,
  encodeHello,
  encodeOpen,
  encodeWelcome,
} from "../../../agent/transfer/messages.js";
import { Fault } from "../../../proto/fault.js";
import { PerformRequest } from "../../../proto/gen/ferry/v1/agent.js";
import { HeartbeatRequest } from "../../../proto/gen/ferry/v1/controller.js";
import type { Reader } from "../reader.js";

/** The last two are of a number of fixed length that is cut off, and of one that JavaScript cannot hold. */
const PROTOBUF =
  /premature EOF|index out of range|invalid|illegal|cant skip|groups|recursion depth|outside the bounds of the DataView|_SAFE_INTEGER/i;

export const WIRE_READERS: readonly Reader[] = [
  { name: "hello of a transfer", documents: [hello()], read: bytes => decodeHello(bytes) },
  {
    name: "welcome of a transfer",
    documents: [encodeWelcome({ algorithm: "blake3", compression: "none" })],
    read: bytes => decodeWelcome(bytes),
  },
  { name: "file of a transfer", documents: [open()], read: bytes => decodeOpen(bytes) },
  {
    name: "error of a transfer",
    documents: [encodeError(new Fault("corrupt", "what was read back differs", { have: "a", need: "b" }))],
    read: bytes => decodeError(bytes, "h2"),
  },
  {
    name: "PerformRequest",
    documents: [
      Buffer.from(
        PerformRequest.encode(PerformRequest.fromPartial({ key: "k", serverId: "s", epoch: 3 })).finish(),
      ),
    ],
    read: bytes => PerformRequest.decode(bytes),
    throws: PROTOBUF,
  },
  {
    name: "HeartbeatRequest",
    documents: [
      Buffer.from(
        HeartbeatRequest.encode(HeartbeatRequest.fromPartial({ host: "h1", epochs: { a: 1 } })).finish(),
      ),
    ],
    read: bytes => HeartbeatRequest.decode(bytes),
    throws: PROTOBUF,
  },
];

/** The engine's own parser, in C++. */
export const frameReader = (checkHeader: (header: Uint8Array) => number): Reader => ({
  name: "frame of a transfer",
  documents: [7, 8, 9, 1, 14].map(type => frame(type)),
  read: bytes => {
    const header = Buffer.alloc(60);
    bytes.copy(header);
    const payloadBytes = checkHeader(header);
    if (payloadBytes > 256 * 1024) throw new Error(`a payload of ${payloadBytes} bytes was let through`);
  },
  throws: /frame/,
});

function frame(type: number): Buffer {
  const header = Buffer.alloc(60);
  header.write("FRY1", 0, "latin1");
  header.writeUInt8(type, 4);
  header.writeUInt32LE(8, 12);
  header.writeUInt32LE(8, 16);
  return header;
}

function hello(): Buffer {
  const claims = {
    purpose: "copy",
    migrationId: "m1",
    serverId: "s1",
    epoch: 2,
    attempt: "0".repeat(32),
    connection: 0,
    files: ["vda/0"],
    algorithms: ["blake3", "sha256"],
    compressions: [],
  } as const;
  return encodeHello(
    { ...claims, files: [...claims.files], algorithms: [...claims.algorithms], compressions: [] },
    "token",
    Buffer.alloc(32),
  );
}

function open(): Buffer {
  const stamp = { device: "8:1", inode: "12", birthNs: "1", mtimeNs: "2", ctimeNs: "3" };
  return encodeOpen({ sizeBytes: 1_073_741_824, dataBytes: 4096, stamp });
}
