/**
 * The universal proofs with the real agents: at any place of any kind of migration a daemon may be killed, its host lose its
 * power, an answer be lost, a request come again or too late, a bit be wrong; the migration ends as it would have, or,
 * before its guest was stopped, as if it had never been asked for.
 *
 * Here a sample that is new each time; all of them: `npm run sim -- --every-step`.
 */

import { afterAll, beforeAll, expect, it } from "vitest";
import { everyStrike, problemsOf } from "./every-step.js";
import { watchUnhandledRejections } from "./unhandled.js";
import { Random } from "./world/random.js";

const own: unknown[] = [];
beforeAll(() => watchUnhandledRejections(error => own.push(error)));
afterAll(() => expect(own).toEqual([]));

const BUDGET_MS = 2_000;

it("whoever dies at whichever step, a migration ends as it was asked to", async () => {
  const random = new Random(Date.now());
  const kind = random.pick(["migrate,", "migrate-from-device,", "resize,", "resize-in-place,"]);
  const endings = ["confirm,", "revert,", "delete,", "auto-confirm,"];
  const alone = ["reached-after-all,"].filter(() => kind === "migrate,");
  const withOthers = [...endings, "cancel,", "others-fill-up,", "cancelled,", ...alone];
  const ending = random.pick(kind === "resize-in-place," ? endings : withOthers);
  const cases = await everyStrike({ stride: 1, offset: 0, only: [kind, ending] });
  expect(cases.length).toBeGreaterThan(500);
  const endMs = Date.now() + BUDGET_MS;
  do expect(await problemsOf(random.pick(cases))).toEqual([]);
  while (Date.now() < endMs);
});
