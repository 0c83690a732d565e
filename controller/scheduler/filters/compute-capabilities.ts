/**
 * Extra specs `capabilities:KEY` hold of the host, and so do keys without a scope that name something that hosts have.
 * A scoped key that the host does not know fails, as in Nova; an unknown key without scope is not meant for this filter.
 */

import { matcherOf } from "../extra-spec-match.js";
import type { Check, Filter } from "../filter.js";
import { CAPABILITY_NAMES, capabilityOf } from "../host-capabilities.js";
import type { HostState } from "../host-state.js";

const SCOPE = "capabilities:";

interface Question {
  readonly spec: string;
  readonly need: string;
  readonly path: string;
  readonly matches: (have: string) => boolean;
}

export const computeCapabilitiesFilter: Filter = {
  name: "ComputeCapabilitiesFilter",
  prepare({ flavor }) {
    const questions = Object.entries(flavor.extraSpecs).flatMap(([spec, need]) => {
      const path = pathOf(spec);
      return path === undefined ? [] : [{ spec, need, path, matches: matcherOf(need) }];
    });
    return questions.length === 0 ? undefined : checkAll(questions);
  },
};

function pathOf(spec: string): string | undefined {
  if (spec.startsWith(SCOPE)) return spec.slice(SCOPE.length);
  return CAPABILITY_NAMES.has(spec) ? spec : undefined;
}

function checkAll(questions: readonly Question[]): Check {
  const holds = (host: HostState, { path, matches }: Question) => {
    const have = capabilityOf(host, path);
    return have !== undefined && matches(have);
  };
  return {
    passes: host => questions.every(question => holds(host, question)),
    why: host =>
      questions
        .filter(question => !holds(host, question))
        .map(({ spec, path, need }) => ({
          message: `host ${host.name} does not have what the flavor asks by ${spec}`,
          have: capabilityOf(host, path) ?? `no ${path} reported`,
          need,
          fix: "choose another flavor, or change its property",
        })),
  };
}
