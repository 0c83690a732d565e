/** The version of this build, as every program reports it; `package.json` is the only place that states it. */

import manifest from "../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
