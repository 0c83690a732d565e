/** docs/operating.md is complete: every key of both configurations, every metric, every rule. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { agentConfigSchema } from "../../../agent/config.js";
import { agentMetrics } from "../../../agent/metrics.js";
import type { World } from "../../../agent/verbs/verb.js";
import { controllerConfigSchema } from "../../../controller/config.js";
import { controllerMetrics } from "../../../controller/metrics.js";
import { AGENT_ONLY, METHOD_RULES, MIGRATE_TO_HOST } from "../../../controller/policy/rules.js";
import { filterSchedulerSchema } from "../../../controller/scheduler/settings.js";
import { LISTENER_LIMITS, RPC_LIMITS } from "../../../proto/listener-limits.js";
import { createRegistry } from "../../../proto/metrics.js";

const page = readFileSync(join(import.meta.dirname, "../../../docs/operating.md"), "utf8");

/** First and second cells of the rows of the table under a heading. */
function rowsUnder(heading: string): string[][] {
  const [, section = ""] = page.split(`${heading}\n`);
  const [table = ""] = section.split("\n#");
  return [...table.matchAll(/^\| `([^`]+)` \| (.+?) \|/gm)].map(([, key = "", value = ""]) => [key, value]);
}

/** As the page shows it: a value in its code form. */
function defaultOf(value: unknown): string {
  return `\`${typeof value === "object" ? JSON.stringify(value) : String(value)}\``;
}

const metricsOn = (registry: Registry) => registry.getMetricsAsArray().map(({ name }) => name);

describe.each([
  ["### /etc/ferry/agent.toml", agentConfigSchema],
  ["### /etc/ferry/controller.toml", controllerConfigSchema],
  ["### [filter_scheduler] of controller.toml", filterSchedulerSchema],
] as const)("%s", (heading, schema) => {
  const rows = rowsUnder(heading);

  it("lists every key, and no other, in the order of the configuration", () => {
    expect(rows.map(([key]) => key)).toEqual(Object.keys(schema.shape));
  });

  it.each(Object.entries(schema.shape))("says the default of %s", (key, field) => {
    const [, said] = rows.find(([name]) => name === key) ?? [];
    const parsed = field.safeParse(undefined);
    if (!parsed.success) expect(said).toBe("required");
    else if (parsed.data !== undefined) expect(said).toBe(defaultOf(parsed.data));
    else expect(said).not.toBe("required");
  });
});

describe("the limits of connections", () => {
  const cells = (limit: string) => {
    const [, row = ""] = page.split(`\n| ${limit} | `);
    return (row.split("\n")[0] ?? "").split(" | ").map(cell => cell.replaceAll(",", ""));
  };

  it("are those of the ports", () => {
    const { silenceMs, pongMs, connections, connectionsOfPeer, streams } = RPC_LIMITS;
    expect(cells("silence")[0]).toBe(`${(silenceMs + pongMs) / 1000} s without an answer to a ping`);
    expect(cells("connections at a time").slice(0, 2)).toEqual([
      `${connections} of these ${connectionsOfPeer} from one address`,
      `${LISTENER_LIMITS.connections}`,
    ]);
    expect(cells("calls at a time on one connection")[0]).toBe(`${streams} the next ones wait`);
    expect(cells("to the end of the TLS handshake")[0]).toBe(`${RPC_LIMITS.handshakeMs / 1000} s`);
  });
});

describe("the metrics", () => {
  it("are all explained", () => {
    const registry = createRegistry("ferry", "0");
    agentMetrics(registry, {} as World);
    controllerMetrics(registry, {
      hosts: async () => [],
      liveMigrations: async () => [],
      endedMigrations: async () => [],
      waiting: async () => [],
      nowMs: () => 0,
      drifts: () => [],
      isFrozen: async () => false,
    });
    const names = metricsOn(registry);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter(name => !new RegExp(`\`${name}[\`{]`).test(page))).toEqual([]);
  });
});

describe("the rules", () => {
  it("are listed with their roles and methods", () => {
    const rules = Object.entries(METHOD_RULES).flatMap(([path, rule]) =>
      rule === AGENT_ONLY ? [] : [{ ...rule, method: path.split("/").at(-1) ?? "" }],
    );
    const lines = page.split("\n");
    const isSaid = ({ name, role, method }: { name: string; role: string; method: string }) =>
      lines.some(line => line.startsWith(`| \`${name}\` | ${role} |`) && line.includes(method));
    expect([...rules, { ...MIGRATE_TO_HOST, method: "MigrateServer" }].filter(rule => !isSaid(rule))).toEqual(
      [],
    );
  });
});
