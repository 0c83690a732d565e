/**
 * Every extra spec `aggregate_instance_extra_specs:KEY`, and every one without a scope, is a key of the metadata of one
 * of the host's aggregates with a value that matches.
 */

import { matcherOf } from "../extra-spec-match.js";
import type { Check, Filter } from "../filter.js";
import type { HostState } from "../host-state.js";

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

function checkAll(questions: readonly Question[]): Check {
  const holds = ({ metadata }: HostState, { key, matches }: Question) => {
    const values = metadata.get(key);
    return values !== undefined && [...values].some(matches);
  };
  return {
    passes: host => questions.every(question => holds(host, question)),
    why: host =>
      questions
        .filter(question => !holds(host, question))
        .map(({ key, need }) => ({
          message: `no aggregate of host ${host.name} has the ${key} that the flavor asks for`,
          have: host.metadata.has(key)
            ? `${key}=${[...(host.metadata.get(key) ?? [])].join(",")}`
            : `no ${key}`,
          need: `${key}=${need}`,
          fix: `put ${host.name} into an aggregate with that property, or choose another flavor`,
        })),
  };
}
