/** Rows of the agent's journal and the controller's store, as a damaged disk or somebody with `sqlite3` would leave them. */

import { documentOf } from "../../../agent/journal/documents.js";
import { guestOf } from "../../../agent/journal/guests.js";
import { operationOf } from "../../../agent/journal/operations.js";
import { decodeJson, encodeJson } from "../../../controller/saga/journal-line.js";
import { message, messages, toRecord } from "../../../controller/store/columns.js";
import { PerformResult } from "../../../proto/gen/ferry/v1/agent.js";
import { Flavor, StepRecord } from "../../../proto/gen/ferry/v1/model.js";
import { type Reader, text } from "../reader.js";

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const GUEST = {
  server: "s1",
  name: "web",
  role: "active" as const,
  incarnation: "s1/home/source/1",
  migration: "",
  epoch: 1,
  term: 0,
  may_have_run: 1,
};
const OPERATION = {
  key: "m1:copy-disks:run",
  server: "s1",
  migration: "m1",
  epoch: 2,
  verb: "receiveDisks",
  request_hash: "ab",
  state: "done" as const,
};
const FENCE = {
  server: "s1",
  migration: "m1",
  state: "fenced",
  epoch: 2,
  files: [{ id: "vda/0", device: "8:1", inode: "12", birthNs: "1" }],
  token: Buffer.from("bytes"),
};
const COLUMNS = { flavor: message("flavor", Flavor), steps: messages("steps", StepRecord) };

export const ROW_READERS: readonly Reader[] = [
  {
    name: "agent's journal: guest",
    documents: [json([{ device: "vda", path: "/images/a.qcow2", role: "root", sizeBytes: 1024 }])],
    read: text(disks => guestOf({ ...GUEST, disks })),
  },
  {
    name: "agent's journal: operation",
    documents: [json(PerformResult.toJSON(PerformResult.fromPartial({})))],
    read: text(outcome => operationOf({ ...OPERATION, outcome })),
  },
  {
    name: "agent's journal: document",
    documents: [json(FENCE)],
    read: text(body => documentOf(body, "fence of m1")),
  },
  {
    name: "store: line of a saga",
    documents: [
      Buffer.from(
        encodeJson({ kind: "done", step: "fence-source", gives: { receipt: Buffer.from("signed") } }),
      ),
    ],
    read: text(line => decodeJson(line)),
  },
  {
    name: "store: record",
    documents: [
      json(Flavor.toJSON(Flavor.fromPartial({ name: "small", vcpus: 1, ramMib: 512, rootGib: 1 }))),
      json([StepRecord.toJSON(StepRecord.fromPartial({ name: "copy-disks" }))]),
    ],
    read: text(cell => toRecord(COLUMNS, { flavor: cell, steps: `[${cell}]` })),
  },
];
