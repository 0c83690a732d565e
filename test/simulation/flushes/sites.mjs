/**
 * Every place in the product's source that flushes something, so that each can be left out. A place is called by its file
 * and its number in there: `agent/fence/durable-file.ts#2`.
 */

const CALL =
  /(?<!function |async )\b(?:(flushDirectory|flushIfThere|flushFile|syncAll|syncData|syncDirectoryOf|fsyncSync)(?=\()|((?:this\.)?[\w.#]+\.(?:data)?sync)\(\))/g;
const FLUSH_AT = new URL("./flush-at.ts", import.meta.url).pathname;

/**
 * Names of the places in one file.
 * @param {string} file from the project's root
 * @param {string} source
 */
export const sitesIn = (file, source) => [...source.matchAll(CALL)].map((_, index) => `${file}#${index + 1}`);

/**
 * The source with `flushAt` around each of them; lines stay where they are.
 * @param {string} file from the project's root
 * @param {string} source
 */
export function marked(file, source) {
  let number = 0;
  const around = source.replace(CALL, (_, name, member) => {
    number += 1;
    const site = JSON.stringify(`${file}#${number}`);
    return member === undefined ? `flushAt(${site}, ${name})` : `flushAt(${site}, () => ${member}())()`;
  });
  return number === 0 ? source : `import { flushAt } from "${FLUSH_AT}";${around}`;
}
