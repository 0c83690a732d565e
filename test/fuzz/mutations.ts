/** Bytes that nobody wrote, as fast-check makes and shrinks them: a real document and what is done to it. */

import * as fc from "fast-check";

interface Edit {
  readonly kind: "set" | "remove" | "insert" | "repeat" | "truncate" | "number" | "value";
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

/** Of a document, all of them alike: fast-check's fractions are nearly all next to nothing. */
const PLACES = 2 ** 20;

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(
    "set",
    "remove",
    "insert",
    "repeat",
    "truncate",
    "number",
    "number",
    "value",
    "value",
  ),
  at: fc.noBias(fc.nat(PLACES)).map(place => place / PLACES),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 16 }),
    fc.constantFrom(...SPICE).map(spice => new Uint8Array(Buffer.from(spice))),
  ),
});

/** Mostly a single one: what is still nearly right gets furthest. */
const edits = fc.oneof(
  { weight: 3, arbitrary: edit.map(one => [one]) },
  { weight: 2, arbitrary: fc.array(edit, { minLength: 2, maxLength: 6 }) },
);

export const mutated = (documents: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.constantFrom(...documents), edits)
        .map(([document, made]) => made.reduce(apply, document)),
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
    case "number":
      return replaced(document, offset, /\d+/, numberOf(bytes));
    case "value":
      return replaced(document, offset, /(?<=["'>])[^"'<>]+(?=["'<])/, Buffer.from(bytes).toString("latin1"));
  }
}

const NUMBERS = [
  "0",
  "-1",
  "1",
  "7",
  "65536",
  "4294967296",
  "9007199254740993",
  "1e309",
  "0x10",
  "9".repeat(40),
];

const numberOf = (bytes: Uint8Array): string => NUMBERS[(bytes[0] ?? 0) % NUMBERS.length] ?? "0";

/** The next place that looks like this, in what is text; well formed documents stay so. */
function replaced(document: Buffer, offset: number, place: RegExp, by: string): Buffer {
  const after = document.toString("latin1", offset);
  return Buffer.concat([
    document.subarray(0, offset),
    Buffer.from(
      after.replace(place, () => by),
      "latin1",
    ),
  ]);
}
