/** `key=value, key=value`, as the OpenStack client prints properties. */

export const pairs = (map: Readonly<Record<string, string | number>>): string =>
  Object.entries(map)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
