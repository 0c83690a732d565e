/**
 * Queries whose text is made once for a store: to build and to compile one costs more than to carry it out, and a few are
 * asked at each step of each migration. It is built with marks for its values; each time its values stand where the marks stood.
 */

import type { Compilable, CompiledQuery, QueryResult } from "kysely";
import type { Queries } from "./schema.js";

/** Stands for one of the values. */
class Mark {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

/** `build` may do nothing with its values but hand them to the query, and always makes the same one. */
export function fixedQuery<Values extends readonly unknown[], Row>(
  build: (queries: Queries, ...values: Values) => Compilable<Row>,
): (queries: Queries, ...values: Values) => Promise<QueryResult<Row>> {
  const byStore = new WeakMap<object, CompiledQuery<Row>>();
  const queryOf = (queries: Queries, count: number): CompiledQuery<Row> => {
    const { adapter } = queries.getExecutor();
    const known = byStore.get(adapter);
    if (known !== undefined) return known;
    const marks = Array.from({ length: count }, (_, index) => new Mark(index)) as unknown as Values;
    const query = build(queries, ...marks).compile();
    byStore.set(adapter, query);
    return query;
  };
  return (queries, ...values) => {
    const query = queryOf(queries, values.length);
    const parameters = query.parameters.map(value => (value instanceof Mark ? values[value.index] : value));
    return queries.executeQuery({ ...query, parameters });
  };
}
