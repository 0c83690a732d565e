/** Sizes on the benchmarks' command line. */

import { describe, expect, it } from "vitest";
import { parseSize } from "../../../bench/copy/size.js";

const MIB = 1024 * 1024;

describe("a size", () => {
  it("may be written in any of the usual ways", () => {
    for (const text of ["64M", "64m", "64 MiB", "64MB", "67108864"]) expect(parseSize(text)).toBe(64 * MIB);
    expect(parseSize("1.5G")).toBe(1536 * MIB);
  });

  it("is rounded up to what every tool can carry", () => {
    expect(parseSize("1")).toBe(64 * 1024);
    expect(parseSize("65537")).toBe(128 * 1024);
  });

  it("that makes no sense is refused", () => {
    for (const text of ["", "0", "-1", "1X", "M", "1e9", "100T"])
      expect(() => parseSize(text)).toThrow(/Must be/);
  });
});
