/**
 * Every place in the product's source that flushes something, so that each can be left out. A place is called by its file
 * and its number in there: `agent/fence/durable-file.ts#2`.
 *
 * Flushes are known by what they are, not by how they are called: fsync and fdatasync of Node, under whatever name they are imported or
 * kept; `sync` and `datasync` of what is open; and every function of the product that opens, flushes and closes and does nothing
 * else, so that a helper that is new is one, too.
 */

import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAst } from "rolldown/parseAst";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const FLUSH_AT = new URL("./flush-at.ts", import.meta.url).pathname;
const OF_NODE = ["fsync", "fdatasync", "fsyncSync", "fdatasyncSync"];
/** Of what is open. */
const METHODS = ["sync", "datasync", ...OF_NODE];
/** What a function may call and still be nothing but a flush. */
const BESIDE = [
  "open",
  "openFd",
  "openBelow",
  "openSync",
  "withFd",
  "close",
  "closeFd",
  "closeSync",
  "dirname",
  "catch",
];

/** @typedef {{ readonly type: string, readonly start: number, readonly end: number } & Record<string, any>} Node */

const parse = source => /** @type {Node} */ (parseAst(source, { lang: "ts" }));

/** Its nodes, each before those in it, with the one that it stands in. */
function* nodesOf(node, parent) {
  yield { node, parent };
  for (const [key, value] of Object.entries(node)) {
    if (key === "typeAnnotation" || key === "returnType") continue;
    for (const child of Array.isArray(value) ? value : [value])
      if (typeof child?.type === "string") yield* nodesOf(child, node);
  }
}

/** Names by which a file has Node's own. */
const importedFlushes = program =>
  program.body
    .filter(
      ({ type, source }) => type === "ImportDeclaration" && /^(node:)?fs(\/promises)?$/.test(source.value),
    )
    .flatMap(({ specifiers }) => specifiers)
    .filter(({ imported }) => OF_NODE.includes(imported?.name))
    .map(({ local }) => local.name);

const calledName = ({ callee }) => (callee.type === "MemberExpression" ? callee.property.name : callee.name);

/** `const name = promisify(flush)`, or a function that only flushes; undefined for everything else. */
function newFlush({ node, parent }, isFlush) {
  if (
    node.type === "VariableDeclarator" &&
    node.init?.type === "CallExpression" &&
    calledName(node.init) === "promisify"
  )
    return isFlush(node.init.arguments[0]?.name) ? node.id.name : undefined;
  if (node.body?.type === undefined || !/Function/.test(node.type)) return undefined;
  const name = node.id?.name ?? (parent?.type === "VariableDeclarator" ? parent.id.name : undefined);
  const calls = [...nodesOf(node.body)].filter(
    ({ node: { type } }) => type === "CallExpression" || type === "NewExpression",
  );
  const called = calls.map(one => calledName(one.node));
  const flushes = called.filter(one => isFlush(one) || METHODS.includes(one));
  return flushes.length > 0 && called.every(one => flushes.includes(one) || BESIDE.includes(one))
    ? name
    : undefined;
}

/**
 * What in these sources is a flush by one name, and not a method.
 * @param {readonly string[]} sources
 * @returns {ReadonlySet<string>}
 */
export function flushNames(sources) {
  const programs = sources.map(parse);
  const names = new Set(programs.flatMap(importedFlushes));
  for (let before = -1; before < names.size; ) {
    before = names.size;
    for (const program of programs)
      for (const one of nodesOf(program)) {
        const name = newFlush(one, candidate => names.has(candidate));
        if (name !== undefined) names.add(name);
      }
  }
  return names;
}

const product = globSync("{agent,controller,proto}/**/*.ts", { cwd: ROOT });
const NAMES = flushNames(product.map(file => readFileSync(ROOT + file, "utf8")));

/** A name where it is used, not where it is made or handed on. */
function isUse({ node, parent }, names) {
  if (node.type !== "Identifier" || !names.has(node.name)) return false;
  const isKey =
    (parent.type === "MemberExpression" || /Property|Method/.test(parent.type)) && parent.value !== node;
  if (isKey && (parent.property ?? parent.key) === node) return false;
  if (/Import|Export/.test(parent.type) || parent.id === node || parent.params?.includes(node)) return false;
  return !(parent.type === "CallExpression" && calledName(parent) === "promisify");
}

const isMethodCall = ({ type, callee }) =>
  type === "CallExpression" && callee.type === "MemberExpression" && METHODS.includes(callee.property.name);

/** What stands there, and what stands for it in a place of that name. */
function* flushesIn(source, names) {
  if (![...names, ...METHODS].some(name => source.includes(name))) return;
  for (const one of nodesOf(parse(source))) {
    const text = source.slice(one.node.start, one.node.end);
    if (isUse(one, names)) yield { ...one.node, instead: site => `flushAt(${site}, ${text})` };
    else if (isMethodCall(one.node))
      yield { ...one.node, instead: site => `flushAt(${site}, () => ${text})()` };
  }
}

/**
 * Names of the places in one file.
 * @param {string} file from the project's root
 * @param {string} source
 */
export const sitesIn = (file, source, names = NAMES) =>
  [...flushesIn(source, names)].map((_, index) => `${file}#${index + 1}`);

/**
 * The source with `flushAt` around each of them; lines stay where they are.
 * @param {string} file from the project's root
 * @param {string} source
 */
export function marked(file, source) {
  const flushes = [...flushesIn(source, NAMES)].sort((one, other) => one.start - other.start);
  if (flushes.length === 0) return source;
  let around = `import { flushAt } from "${FLUSH_AT}";`;
  let at = 0;
  for (const [index, { start, end, instead }] of flushes.entries()) {
    around += source.slice(at, start) + instead(JSON.stringify(`${file}#${index + 1}`));
    at = end;
  }
  return around + source.slice(at);
}
