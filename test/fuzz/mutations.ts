/** Bytes that nobody wrote, as fast-check makes and shrinks them: a real document and what is done to it. */

import * as fc from "fast-check";

interface Edit {
  readonly kind: "set" | "remove" | "insert" | "repeat" | "truncate";
  /** Where, as a fraction of the document. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

const SPICE = [
  "<",
  "&",
  '"',
  "\0",
  "../",
  "]]>",
  "<!--",
  "<!ENTITY a '&a;&a;'>",
  "-1",
  "99999999999999999999",
  "é",
  "\n",
  "=",
  "[",
  "{",
];

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom("set", "remove", "insert", "repeat", "truncate"),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 16 }),
    fc.constantFrom(...SPICE).map(spice => new Uint8Array(Buffer.from(spice))),
  ),
});

export const mutated = (documents: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.constantFrom(...documents), fc.array(edit, { minLength: 1, maxLength: 6 }))
        .map(([document, edits]) => edits.reduce(apply, document)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 256 }).map(bytes => Buffer.from(bytes)) },
  );

function apply(document: Buffer, { kind, at, bytes }: Edit): Buffer {
  const offset = Math.floor(at * document.length);
  const [before, after] = [document.subarray(0, offset), document.subarray(offset)];
  switch (kind) {
    case "set":
      return Buffer.concat([before, bytes, after.subarray(bytes.length)]);
    case "remove":
      return Buffer.concat([before, after.subarray(bytes.length * 4)]);
    case "insert":
      return Buffer.concat([before, bytes, after]);
    case "repeat":
      return Buffer.concat([before, ...Array.from({ length: 64 }, () => bytes), after]);
    case "truncate":
      return Buffer.from(before);
  }
}
