/** FlavorService: named sizes. */

import { Fault } from "../../proto/fault.js";
import { FlavorServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { overridesOf } from "../placement/resources.js";
import { deleteFlavor, findFlavor, insertFlavor, listFlavors } from "../store/flavors.js";
import type { Api } from "./api.js";

const NAME = /^[\w .@-]{1,255}$/;

export function flavorService({ store, newId }: Api): ServiceImplementation {
  return implement<typeof FlavorServiceService>(FlavorServiceService, {
    createFlavor: async ({ flavor }) => {
      const checked = checkedFlavor(flavor, newId);
      await insertFlavor(store.queries, checked);
      return { flavor: checked };
    },
    listFlavors: async () => ({ flavors: await listFlavors(store.queries) }),
    showFlavor: async ({ flavor }) => ({ flavor: await findFlavor(store.queries, flavor) }),
    deleteFlavor: async ({ flavor }) => {
      const { id } = await findFlavor(store.queries, flavor);
      await deleteFlavor(store.queries, id);
      return {};
    },
  });
}

/** Servers keep their own copy of a flavor, so that deleting one never breaks a revert. */
function checkedFlavor(flavor: Flavor | undefined, newId: () => string): Flavor {
  if (flavor === undefined || !NAME.test(flavor.name)) {
    throw new Fault("invalid-argument", "a flavor needs a name", {
      need: "1 to 255 letters, digits, spaces or _ . @ -",
    });
  }
  if (flavor.vcpus < 1 || flavor.ramMib < 1) {
    throw new Fault("invalid-argument", `flavor ${flavor.name} needs at least 1 vCPU and 1 MiB of memory`, {
      have: `${flavor.vcpus} vCPUs, ${flavor.ramMib} MiB`,
    });
  }
  overridesOf(flavor);
  return { ...flavor, id: flavor.id || newId() };
}
