import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runTool } from "../../agent/os/tool.js";
import { Fault } from "../../proto/fault.js";

const limits = { timeoutMs: 20_000 };

const faultOf = async (run: Promise<string>): Promise<Fault> => {
  const error: unknown = await run.then(
    output => new Error(`no fault, but: ${output}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Fault) return error;
  throw error;
};

describe("a program", () => {
  it("gets its arguments as they are and returns what it prints", async () => {
    expect(await runTool(["printf", "%s|", "a b", "$(id)", "; ls", "*"], limits)).toBe("a b|$(id)|; ls|*|");
  });

  it("inherits no environment", async () => {
    const names = (await runTool(["env"], limits))
      .trim()
      .split("\n")
      .map(line => line.split("=")[0]);
    expect(names.toSorted()).toEqual(["LC_ALL", "MALLOC_ARENA_MAX", "PATH"]);
  });

  it("that fails is a fault with its own words", async () => {
    const fault = await faultOf(runTool(["qemu-img", "info", "-f", "qcow2", "/nothing"], limits));
    expect(fault).toMatchObject({ code: "failed", message: expect.stringContaining("No such file") });
  });

  it("that is not installed is unsupported, and says what to install", async () => {
    const fault = await faultOf(runTool(["no-such-program"], limits));
    expect(fault).toMatchObject({ code: "unsupported", detail: { fix: expect.stringContaining("install") } });
  });

  it("that takes too long is killed, and what it did is unknown", async () => {
    const fault = await faultOf(runTool(["sleep", "60"], { timeoutMs: 200 }));
    expect(fault).toMatchObject({ code: "timeout", isUnknown: true });
  });

  it("is killed when the caller gives up, before or during its run", async () => {
    const controller = new AbortController();
    const running = runTool(["sleep", "60"], { ...limits, signal: controller.signal });
    controller.abort();
    expect((await faultOf(running)).code).toBe("cancelled");
    const late = runTool(["true"], { ...limits, signal: controller.signal });
    expect((await faultOf(late)).code).toBe("cancelled");
  });

  it("cannot take more memory, write larger files or print more than allowed", async () => {
    const dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"] as const;
    const memory = await faultOf(runTool(dd, { ...limits, memoryBytes: 64 * 1024 * 1024 }));
    expect(memory.message).toContain("memory exhausted");
    const directory = await mkdtemp(join(tmpdir(), "ferry-tool-"));
    const path = join(directory, "file");
    const writing = runTool(["dd", "if=/dev/zero", `of=${path}`, "bs=1M", "count=8"], {
      ...limits,
      fileSizeBytes: 1024 * 1024,
    });
    expect((await faultOf(writing)).code).toBe("failed");
    expect((await stat(path)).size).toBe(1024 * 1024);
    await rm(directory, { recursive: true });
    const output = await faultOf(runTool(["yes"], { ...limits, outputBytes: 10_000 }));
    expect(output.message).toContain("no end");
  });
});
