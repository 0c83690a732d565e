import { describe, expect, it } from "vitest";
import { chosenPolicy, keptPolicy } from "../../../agent/transfer/compression.js";

describe("a migration's compression", () => {
  it("is what was asked of it, else what the host is configured with", () => {
    expect(chosenPolicy("off", "auto")).toBe("off");
    expect(chosenPolicy("zstd", "off")).toBe("zstd");
    expect(chosenPolicy(undefined, "zstd")).toBe("zstd");
    expect(chosenPolicy("", "auto")).toBe("auto");
  });

  it("is refused when nobody knows it, or this build cannot keep it", () => {
    expect(() => chosenPolicy("lz4", "auto")).toThrow(/cannot be compressed by "lz4"/);
    expect(() => keptPolicy("zstd", [])).toThrow(/compress disk data with zstd/);
    expect(keptPolicy("auto", [])).toBe("off");
  });
});
