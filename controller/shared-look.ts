/**
 * One look at a source for all the metrics that come from it. prom-client asks every metric of a registry to collect itself at
 * the same moment, and renders each as soon as that one is done: so each must wait for the same look.
 */

export function sharedLook(look: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  return () => {
    underWay ??= look().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
