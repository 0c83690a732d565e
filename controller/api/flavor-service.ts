/** FlavorService: named sizes. */

import { Fault } from "../../proto/fault.js";
import { FlavorServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { overridesOf } from "../placement/resources.js";
import { deleteFlavor, findFlavor, insertFlavor, listFlavors, updateFlavor } from "../store/flavors.js";
import type { Api } from "./api.js";

const EXTRA_SPEC = /^[a-zA-Z0-9\-_:. ]{1,255}$/;
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
    setExtraSpecs: ({ flavor, set, unset }) =>
      store.transaction(async queries => {
        const changed = withExtraSpecs(await findFlavor(queries, flavor), set, unset);
        await updateFlavor(queries, changed);
        return { flavor: changed };
      }),
  });
}

function withExtraSpecs(
  flavor: Flavor,
  set: Readonly<Record<string, string>>,
  unset: readonly string[],
): Flavor {
  refuseExtraSpecs(set);
  const specs = new Map(Object.entries(flavor.extraSpecs));
  for (const key of unset) {
    if (!specs.delete(key))
      throw new Fault("not-found", `Flavor ${flavor.id} has no extra specs with key ${key}.`);
  }
  const changed = { ...flavor, extraSpecs: { ...Object.fromEntries(specs), ...set } };
  overridesOf(changed);
  return changed;
}

function refuseExtraSpecs(specs: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(specs)) {
    if (EXTRA_SPEC.test(key) && value.length <= 255) continue;
    throw new Fault("invalid-argument", `${JSON.stringify(key)} is no extra spec`, {
      need: "1 to 255 letters, digits, spaces or - _ : . as its name, and at most 255 characters as its value",
    });
  }
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
  refuseExtraSpecs(flavor.extraSpecs);
  overridesOf(flavor);
  return { ...flavor, id: flavor.id || newId() };
}
