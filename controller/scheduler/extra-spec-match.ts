/**
 * Compares a value with what an extra spec asks for, by Nova's little language:
 *
 *     =  >= (at least)      == != <= >=        numbers
 *     s== s!= s< s<= s> s>=                    text
 *     <in> part   <all-in> a b   <or> a <or> b
 *
 * Without an operator the two texts must be equal.
 */

type Matcher = (have: string) => boolean;

const NUMBERS: ReadonlyMap<string, (have: number, need: number) => boolean> = new Map([
  ["=", (have, need) => have >= need],
  ["==", (have, need) => have === need],
  ["!=", (have, need) => have !== need],
  [">=", (have, need) => have >= need],
  ["<=", (have, need) => have <= need],
]);

const TEXTS: ReadonlyMap<string, (have: string, need: string) => boolean> = new Map([
  ["s==", (have, need) => have === need],
  ["s!=", (have, need) => have !== need],
  ["s<", (have, need) => have < need],
  ["s<=", (have, need) => have <= need],
  ["s>", (have, need) => have > need],
  ["s>=", (have, need) => have >= need],
  ["<in>", (have, need) => have.includes(need)],
]);

const NEVER: Matcher = () => false;

/** Parsed once, asked of every host. */
export function matcherOf(spec: string): Matcher {
  const [operator = "", ...words] = spec.split(/\s+/).filter(word => word !== "");
  const [first] = words;
  if (operator === "<or>") {
    const choices = words.filter((_, index) => index % 2 === 0);
    return have => choices.includes(have);
  }
  if (operator === "<all-in>")
    return words.length === 0 ? NEVER : have => words.every(word => have.includes(word));
  const asText = TEXTS.get(operator);
  if (asText !== undefined) return first === undefined ? NEVER : have => asText(have, first);
  const asNumber = NUMBERS.get(operator);
  return asNumber === undefined ? have => have === spec : numberMatcher(asNumber, first);
}

/** What is no number compares with nothing. */
function numberMatcher(compare: (have: number, need: number) => boolean, word: string | undefined): Matcher {
  const need = numberOf(word);
  if (need === undefined) return NEVER;
  return text => {
    const have = numberOf(text);
    return have !== undefined && compare(have, need);
  };
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
