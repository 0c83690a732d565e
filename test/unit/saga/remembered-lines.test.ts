import { expect, it } from "vitest";
import { encodeJson, type Line } from "../../../controller/saga/journal-line.js";
import { RememberedLines } from "../../../controller/saga/remembered-lines.js";

const written = (line: Line, atMs: number) => ({ line: encodeJson(line), atMs });
const BEGUN = written({ kind: "begun", step: "stop-source" }, 1);
const DONE = written({ kind: "done", step: "stop-source", gives: { receipt: Buffer.from("word") } }, 2);

it("a journal that was read before is what the store holds now, whoever replaced it", () => {
  const lines = new RememberedLines();
  const first = lines.entriesOf("one", [BEGUN, DONE]);
  expect(first.map(({ line }) => line.kind)).toEqual(["begun", "done"]);
  expect(lines.entriesOf("one", [BEGUN, DONE])[1]?.line).toBe(first[1]?.line);

  // A restored store: as long as before, and with another end.
  const ended = written({ kind: "ended" }, 3);
  const replaced = lines.entriesOf("one", [BEGUN, ended]);
  expect(replaced.map(({ line, atMs }) => [line.kind, atMs])).toEqual([
    ["begun", 1],
    ["ended", 3],
  ]);
  expect(lines.entriesOf("one", [BEGUN])).toHaveLength(1);
  expect(lines.entriesOf("another", [ended])[0]?.line).toEqual({ kind: "ended" });
});

it("nobody can change what another one will read", () => {
  const [entry] = new RememberedLines().entriesOf("one", [DONE]);
  expect(Object.isFrozen(entry?.line)).toBe(true);
  expect(entry?.line.kind === "done" && Object.isFrozen(entry.line.gives)).toBe(true);
});
