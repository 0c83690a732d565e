/**
 * Every extra spec `aggregate_instance_extra_specs:KEY`, and every one without a scope, is a key of the metadata of one
 * of the host's aggregates with a value that matches.
 */

import { matcherOf } from "../extra-spec-match.js";
import { type Check, type Filter, PASS, refused } from "../filter.js";

const SCOPE = "aggregate_instance_extra_specs:";

interface Question {
  readonly key: string;
  readonly need: string;
  readonly matches: (have: string) => boolean;
}

export const aggregateInstanceExtraSpecsFilter: Filter = {
  name: "AggregateInstanceExtraSpecsFilter",
  prepare({ flavor }) {
    const questions = Object.entries(flavor.extraSpecs).flatMap(([spec, need]) => {
      const key = spec.startsWith(SCOPE) ? spec.slice(SCOPE.length) : spec;
      return key === spec && spec.includes(":") ? [] : [{ key, need, matches: matcherOf(need) }];
    });
    return questions.length === 0 ? undefined : checkAll(questions);
  },
};

const checkAll =
  (questions: readonly Question[]): Check =>
  host => {
    for (const { key, need, matches } of questions) {
      const values = host.metadata.get(key);
      if (values !== undefined && [...values].some(matches)) continue;
      return refused(host, {
        message: `no aggregate of host ${host.name} has the ${key} that the flavor asks for`,
        have: values === undefined ? `no ${key}` : `${key}=${[...values].join(",")}`,
        need: `${key}=${need}`,
        fix: `put ${host.name} into an aggregate with that property, or choose another flavor`,
      });
    }
    return PASS;
  };
