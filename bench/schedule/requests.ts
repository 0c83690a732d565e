/** What the fleet is asked for, in turn: a mix of everything that the filters look at. */

import type { Wanted } from "../../controller/scheduler/request.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { groupId, ZONES } from "./simulated-fleet.js";

const flavor = (vcpus: number, ramMib: number, extraSpecs: Record<string, string> = {}): Flavor =>
  Flavor.fromPartial({ id: "bench", name: "bench", vcpus, ramMib, rootGib: 10, extraSpecs });

type Kind = (index: number) => Partial<Wanted> & { readonly flavor: Flavor };

const KINDS: readonly Kind[] = [
  () => ({ flavor: flavor(1, 128) }),
  index => ({ flavor: flavor(1, 128), availabilityZone: ZONES[index % ZONES.length] ?? "" }),
  () => ({ flavor: flavor(2, 64, { "hw:cpu_policy": "dedicated" }) }),
  () => ({ flavor: flavor(2, 64, { "hw:numa_nodes": "2", "hw:cpu_policy": "dedicated" }) }),
  () => ({ flavor: flavor(1, 64, { "hw:mem_page_size": "2MB" }) }),
  () => ({ flavor: flavor(1, 64, { "pci_passthrough:alias": "nvme:1" }) }),
  () => ({
    flavor: flavor(1, 128, {
      "aggregate_instance_extra_specs:disk": "ssd",
      "trait:HW_ARCH_X86_64": "required",
    }),
  }),
  index => ({ flavor: flavor(1, 128), serverGroup: groupId(index) }),
];

export function wantedServer(index: number): Wanted {
  const kind = KINDS[index % KINDS.length];
  return {
    serverId: `new-${index}`,
    tenant: "user/bench",
    serverGroup: "",
    availabilityZone: "",
    sameHost: [],
    differentHost: [],
    imageProperties: { hw_architecture: "x86_64" },
    sourceHost: "",
    requestedHost: "",
    force: false,
    ignoreHosts: [],
    ...(kind?.(index) ?? { flavor: flavor(1, 128) }),
  };
}
