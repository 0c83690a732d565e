import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatRangeList, parseRangeList } from "../../../proto/range-list.js";

const cpus = fc.uniqueArray(fc.nat(65_535), { maxLength: 200 });

describe("a range list", () => {
  it("reads as the kernel means it", () => {
    expect(parseRangeList("0-3,8\n")).toEqual([0, 1, 2, 3, 8]);
    expect(parseRangeList("5")).toEqual([5]);
    expect(parseRangeList("8,0-1,1")).toEqual([0, 1, 8]);
  });

  it("is empty for an empty file: a cell without CPUs has exactly that", () => {
    expect(parseRangeList("\n")).toEqual([]);
  });

  it("comes back from its text as the same set", () => {
    fc.assert(
      fc.property(cpus, numbers => {
        expect(parseRangeList(formatRangeList(numbers))).toEqual([...numbers].sort((a, b) => a - b));
      }),
    );
  });

  it("is written as short as possible", () => {
    expect(formatRangeList([3, 1, 2, 0, 8, 10, 11])).toBe("0-3,8,10-11");
    expect(formatRangeList([])).toBe("");
  });

  it.each(["0-", "-1", "a", "3-1", "0,,1", "0-4294967295", "0x1", "1 2", "99999999999", "0-3,"])(
    "is refused whole when it says %j",
    text => {
      expect(parseRangeList(text)).toBeUndefined();
    },
  );

  it("never makes anything but a sorted set out of garbage", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789-, \n") }), text => {
        const numbers = parseRangeList(text);
        if (numbers) expect(parseRangeList(formatRangeList(numbers))).toEqual(numbers);
      }),
    );
  });
});
