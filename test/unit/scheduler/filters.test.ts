/** Every filter: what passes, what does not and why; and all of them against a literal reading of Nova's rules. */

import {
  array,
  assert,
  constantFrom,
  dictionary,
  integer,
  nat,
  property,
  record,
  string,
  subarray,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { matcherOf } from "../../../controller/scheduler/extra-spec-match.js";
import { refusalsOf } from "../../../controller/scheduler/filter.js";
import { filterWarnings } from "../../../controller/scheduler/filter-warnings.js";
import { FILTERS } from "../../../controller/scheduler/filters/all.js";
import { FILTER_NAMES, type FilterName } from "../../../controller/scheduler/filters/names.js";
import type { HostState } from "../../../controller/scheduler/host-state.js";
import type { ScheduleRequest } from "../../../controller/scheduler/request.js";
import { judgeHosts } from "../../../controller/scheduler/scheduler.js";
import { readGuestHardware } from "../../../proto/fit/read-guest-hardware.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { match, NOVA } from "./nova-rules.js";
import { asked, type HostSketch, host, SETTINGS, withSpecs } from "./sketch.js";

const reasons = (name: FilterName, one: HostState, request: ScheduleRequest) => {
  const check = FILTERS[name].prepare(request, SETTINGS);
  return check === undefined ? [] : refusalsOf(check, one);
};

/** The first sentence against the host, or "passes". */
const say = (name: FilterName, sketch: HostSketch, changes: Partial<ScheduleRequest> = {}) =>
  reasons(name, host("h2", sketch), asked(changes))[0]?.message ?? "passes";

describe("ComputeCapabilitiesFilter", () => {
  const ask = (specs: Record<string, string>) =>
    say(
      "ComputeCapabilitiesFilter",
      { hardware: { cpuVendor: "AuthenticAMD", guests: KVM } },
      withSpecs(specs),
    );
  const KVM = [{ architecture: "x86_64", hypervisorType: "kvm", vmMode: "hvm" }];

  it("passes what the host has", () => {
    expect(
      ask({ "capabilities:cpu_info:vendor": "AuthenticAMD", hypervisor_type: "<or> kvm <or> qemu" }),
    ).toBe("passes");
  });
  it("refuses what it has not, and what nobody knows of", () => {
    expect(ask({ "capabilities:cpu_info:vendor": "GenuineIntel" })).toMatch(
      /does not have what the flavor asks/,
    );
    expect(ask({ "capabilities:gpu": "1" })).toMatch(/capabilities:gpu/);
  });
  it("leaves other filters' keys to them", () => {
    expect(ask({ ssd: "true", "hw:cpu_policy": "dedicated" })).toBe("passes");
  });
});

describe("ImagePropertiesFilter", () => {
  const hardware = {
    qemuVersion: 7_002_000,
    guests: [{ architecture: "x86_64", hypervisorType: "kvm", vmMode: "hvm" }],
  };
  const ask = (imageProperties: Record<string, string>) =>
    say("ImagePropertiesFilter", { hardware }, { imageProperties });

  it("passes an image that the host can run, by any of its architecture's names", () => {
    expect(ask({ hw_architecture: "amd64", img_hv_type: "kvm" })).toBe("passes");
  });
  it("refuses another architecture", () =>
    expect(ask({ hw_architecture: "aarch64" })).toMatch(/cannot run what the image asks for/));
  it("holds the version of QEMU against every part of what is asked", () => {
    expect(ask({ img_hv_requested_version: ">=7.0, <8" })).toBe("passes");
    expect(ask({ img_hv_requested_version: ">=7.0, <7.2" })).toMatch(/another version of QEMU/);
    expect(ask({ img_hv_requested_version: "new" })).toMatch(/another version of QEMU/);
  });
  it("takes unknown hardware for no", () =>
    expect(say("ImagePropertiesFilter", {}, { imageProperties: { hw_architecture: "x86_64" } })).toMatch(
      /cannot run/,
    ));
});

describe("aggregates", () => {
  it("give what AggregateInstanceExtraSpecsFilter asks for, one value of several being enough", () => {
    const ask = (metadata: Record<string, string>) =>
      say(
        "AggregateInstanceExtraSpecsFilter",
        { aggregates: [metadata] },
        withSpecs({ "aggregate_instance_extra_specs:disk": "s== ssd" }),
      );
    expect(ask({ disk: "hdd, ssd" })).toBe("passes");
    expect(ask({ disk: "hdd" })).toMatch(/no aggregate of host h2 has the disk/);
    expect(ask({})).toMatch(/no aggregate/);
  });

  it("keep hosts for tenants (AggregateMultiTenancyIsolation)", () => {
    const ask = (tenants: string) =>
      say("AggregateMultiTenancyIsolation", { aggregates: [{ filter_tenant_id: tenants }] });
    expect([ask("user/ana,user/bob"), ask("user/bob")]).toEqual([
      "passes",
      "host h2 is kept for other tenants",
    ]);
  });

  it("keep hosts for flavors (AggregateTypeAffinityFilter)", () => {
    const ask = (types: string) =>
      say("AggregateTypeAffinityFilter", { aggregates: [{ instance_type: types }] });
    expect([ask("small,large"), ask("large")]).toEqual(["passes", "host h2 is kept for other flavors"]);
  });
});

describe("server groups", () => {
  const group = (policy: string, members: Record<string, number>, maxServerPerHost = 1) => ({
    group: { name: "db", policy, maxServerPerHost, membersByHost: new Map(Object.entries(members)) },
  });

  it("of policy affinity stay together", () => {
    expect(say("ServerGroupAffinityFilter", {}, group("affinity", { h2: 1 }))).toBe("passes");
    expect(say("ServerGroupAffinityFilter", {}, group("affinity", { h1: 1 }))).toMatch(
      /no server of group db/,
    );
  });
  it("of policy affinity with no other member go anywhere", () =>
    expect(say("ServerGroupAffinityFilter", {}, group("affinity", {}))).toBe("passes"));
  it("of policy anti-affinity stay apart, as many as may share a host excepted", () => {
    const ask = (most: number) =>
      say("ServerGroupAntiAffinityFilter", {}, group("anti-affinity", { h2: 2 }, most));
    expect(ask(2)).toMatch(/has servers of group db already/);
    expect(ask(3)).toBe("passes");
  });
  it("of policy anti-affinity may stay where this very server is already", () => {
    const crowded = group("anti-affinity", { h2: 5 });
    expect(say("ServerGroupAntiAffinityFilter", { servers: ["web"] }, crowded)).toBe("passes");
  });
  it("of the soft policies are preferred, not demanded", () => {
    const judged = (policy: string) =>
      judgeHosts([host("h2"), host("h3")], asked(group(policy, { h3: 2 })), SETTINGS).map(
        verdict => verdict.host,
      );
    expect([judged("soft-affinity")[0], judged("soft-anti-affinity")[0]]).toEqual(["h3", "h2"]);
  });
});

describe("NUMATopologyFilter and PciPassthroughFilter", () => {
  const cell = {
    id: 0,
    memoryKib: 4 * 1024 ** 2,
    sharedCpus: [0, 1],
    cores: [{ cpus: [2, 3], threads: 2 }],
    distances: [{ cell: 0, distance: 10 }],
  };
  const device = { address: "0000:01:00.1", aliases: { nic: "legacy" }, numaCell: 0 };
  const free = {
    cells: [cell],
    sharedCpus: [0, 1],
    cpuAllocationRatio: 4,
    ramAllocationRatio: 1,
    devices: [device],
  };
  const ask = (
    name: FilterName,
    extraSpecs: Record<string, string>,
    vcpus = 2,
    sketch: HostSketch = { hardware: { free } },
  ) => say(name, sketch, { hardware: readGuestHardware(extraSpecs, { vcpus, ramMib: 1024 }) });

  it("pass a host that has the cells, CPUs and devices free, and no other", () => {
    const pinned = { "hw:cpu_policy": "dedicated" };
    expect(ask("NUMATopologyFilter", pinned)).toBe("passes");
    expect(ask("NUMATopologyFilter", pinned, 3)).toMatch(/^host h2: /);
    expect(ask("PciPassthroughFilter", { "pci_passthrough:alias": "nic:1" })).toBe("passes");
    expect(ask("PciPassthroughFilter", { "pci_passthrough:alias": "nic:2" })).toMatch(/^host h2: /);
  });

  it("take hardware that was not reported for no, but only where it is asked for", () => {
    expect(ask("NUMATopologyFilter", { "hw:cpu_policy": "dedicated" }, 2, {})).toMatch(
      /has not said what hardware/,
    );
    expect(ask("NUMATopologyFilter", {}, 2, {})).toBe("passes");
  });
});

describe("hints", () => {
  it("same_host and different_host look for other servers", () => {
    const there = { servers: ["db"] };
    expect(say("SameHostFilter", there, { sameHost: ["db", "gone"] })).toBe("passes");
    expect(say("SameHostFilter", {}, { sameHost: ["db"] })).toMatch(/same host as another one/);
    expect(say("DifferentHostFilter", there, { differentHost: ["db"] })).toMatch(/another host than one/);
    expect(say("DifferentHostFilter", {}, { differentHost: ["db"] })).toBe("passes");
  });
});

describe("limits", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `s${index}`);
  it("of servers and of work on a host are the configured ones", () => {
    expect(say("NumInstancesFilter", { servers: many(49) })).toBe("passes");
    expect(say("NumInstancesFilter", { servers: many(50) })).toMatch(/as many servers as a host may have/);
    expect(say("IoOpsFilter", { ioOperations: 7 })).toBe("passes");
    expect(say("IoOpsFilter", { ioOperations: 8 })).toMatch(/busy with other servers/);
  });
});

describe("restrictions", () => {
  const refusedBy = (sketch: HostSketch, changes: Partial<ScheduleRequest>) =>
    judgeHosts([host("h2", sketch)], asked(changes), SETTINGS)[0]?.refusedBy;

  it("keep a server in the zone that it was asked into, unless it is forced out", () => {
    expect(refusedBy({ zone: "east" }, { availabilityZone: "east" })).toEqual([]);
    expect(refusedBy({}, { availabilityZone: "east" })).toEqual(["map_az_to_placement_aggregate"]);
    expect(refusedBy({}, { availabilityZone: "east", force: true })).toEqual([]);
  });

  it("ask for traits, those of the hardware included, and against them", () => {
    const hardware = { cpuFlags: ["avx2"], architecture: "x86_64" };
    expect(refusedBy({ hardware }, { requiredTraits: ["HW_CPU_X86_AVX2"] })).toEqual([]);
    expect(refusedBy({ traits: ["CUSTOM_A"] }, { requiredTraits: ["CUSTOM_B"] })).toEqual(["placement"]);
    expect(refusedBy({ traits: ["CUSTOM_A"] }, { forbiddenTraits: ["CUSTOM_A"] })).toEqual(["placement"]);
  });

  it("ask for room in every class", () => {
    const needed = new Map([
      ["MEMORY_MB", 1024],
      ["PCPU", 2],
    ]);
    expect(refusedBy({ inventories: { MEMORY_MB: 2048, PCPU: 2 } }, { needed })).toEqual([]);
    expect(refusedBy({ inventories: { MEMORY_MB: 2048 } }, { needed })).toEqual(["placement"]);
  });
});

describe("weights", () => {
  const order = (hosts: HostState[], changes: Partial<ScheduleRequest> = {}) =>
    judgeHosts(hosts, asked(changes), SETTINGS).map(verdict => verdict.host);

  it("prefer a host with less work and a newer QEMU", () => {
    expect(order([host("h2", { ioOperations: 3 }), host("h3")])).toEqual(["h3", "h2"]);
    const qemu = (version: number) => ({ hardware: { qemuVersion: version } });
    expect(order([host("h2", qemu(7_002_000)), host("h3", qemu(8_000_000))])).toEqual(["h3", "h2"]);
  });

  it("keep hosts with devices for servers that want them", () => {
    const device = { address: "0000:01:00.0", aliases: { nic: "legacy" } };
    const rich = host("h2", { hardware: { free: { devices: [device] } } });
    expect(order([rich, host("h3")])).toEqual(["h3", "h2"]);
  });

  it("follow an aggregate's own multiplier", () => {
    const small = host("h2", { inventories: { MEMORY_MB: 1024 } });
    const large = host("h3", { inventories: { MEMORY_MB: 4096 } });
    expect(order([small, large])).toEqual(["h3", "h2"]);
    const shunned = host("h3", {
      inventories: { MEMORY_MB: 4096 },
      aggregates: [{ ram_weight_multiplier: "-1" }],
    });
    expect(order([small, shunned])).toEqual(["h2", "h3"]);
  });
});

describe("a warning", () => {
  const flavor = Flavor.fromPartial({ extraSpecs: { "hw:cpu_policy": "dedicated" } });
  it("is given when pinned servers exist and their filters are off", () => {
    expect(filterWarnings([{ name: "db", flavor }], ["ComputeFilter"])).toEqual([
      expect.stringMatching(/^NUMATopologyFilter is not enabled, and 1 servers .*one is db/),
      expect.stringMatching(/^AggregateInstanceExtraSpecsFilter is not enabled/),
    ]);
    expect(filterWarnings([{ name: "db", flavor }], SETTINGS.enabled_filters)).toEqual([]);
    expect(filterWarnings([{ name: "web", flavor: Flavor.create() }], [])).toEqual([]);
  });
});

const word = constantFrom("a", "ab", "b", "1", "2", "10", "kvm", "x");
const spec = array(
  constantFrom(..."= == != >= <= s== s!= s< s<= s> s>= <in> <all-in> <or> a ab b 1 2 10 kvm".split(" ")),
  { minLength: 1, maxLength: 4 },
).map(words => words.join(" "));

it("the language of extra specs is Nova's", () => {
  assert(
    property(word, spec, (have, need) => {
      expect(matcherOf(need)(have)).toBe(match(have, need));
    }),
    { numRuns: 3_000 },
  );
});

const metadata = dictionary(
  constantFrom("a", "instance_type", "filter_tenant_id"),
  constantFrom("a", "b, a", "small", "large,small", "user/ana", "user/bob", "10"),
  { maxKeys: 2 },
);
const servers = subarray(["s1", "s2", "s3", "web"]);
const sketch = record({
  status: constantFrom("enabled", "disabled"),
  aggregates: array(metadata, { maxLength: 2 }),
  servers,
  ioOperations: nat(3),
  hardware: record({
    guests: array(
      record({
        architecture: constantFrom("x86_64", "aarch64"),
        hypervisorType: constantFrom("kvm", "qemu"),
        vmMode: constantFrom("hvm"),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  }).filter(({ guests }) => guests.some(({ hypervisorType }) => hypervisorType === "kvm")),
});
const change = record({
  flavor: record({
    name: constantFrom("small", "large"),
    extraSpecs: dictionary(
      constantFrom(
        "a",
        "num_instances",
        "capabilities:free_ram_mb",
        "capabilities:unknown",
        "aggregate_instance_extra_specs:a",
        "hw:cpu_policy",
      ),
      spec,
      { maxKeys: 2 },
    ),
  }).map(flavor => Flavor.fromPartial(flavor)),
  tenant: constantFrom("user/ana", "user/bob"),
  imageProperties: dictionary(
    constantFrom("hw_architecture", "img_hv_type", "hw_vm_mode"),
    constantFrom("x86_64", "aarch64", "kvm", "qemu", "hvm"),
    { maxKeys: 2 },
  ),
  sameHost: subarray(["s1", "s2"]),
  differentHost: subarray(["s2", "s3"]),
  group: record({
    name: string({ minLength: 1 }),
    policy: constantFrom("affinity", "anti-affinity", "soft-affinity"),
    maxServerPerHost: nat(2),
    membersByHost: dictionary(constantFrom("h2", "h3"), integer({ min: 1, max: 3 })).map(
      members => new Map(Object.entries(members)),
    ),
  }),
});

it("every filter agrees with a literal reading of Nova's rules", () => {
  const names = FILTER_NAMES.filter(name => name in NOVA);
  expect(names).toHaveLength(FILTER_NAMES.length - 2);
  const settings = { ...SETTINGS, max_instances_per_host: 2, max_io_ops_per_host: 2 };
  const decided = new Map<string, Set<boolean>>();
  assert(
    property(sketch, change, (one, changes) => {
      const [candidate, request] = [host("h2", one), asked(changes)];
      for (const name of names) {
        const passes = FILTERS[name].prepare(request, settings)?.passes(candidate) ?? true;
        expect([name, passes]).toEqual([name, NOVA[name]?.(candidate, request, one.aggregates)]);
        decided.set(name, (decided.get(name) ?? new Set()).add(passes));
      }
    }),
    { numRuns: 2_000 },
  );
  // Both answers were seen of each, or nothing was tested.
  for (const name of names)
    expect([name, decided.get(name)?.size]).toEqual([name, name === "AllHostsFilter" ? 1 : 2]);
});
