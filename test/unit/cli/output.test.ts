import { describe, expect, it } from "vitest";
import { plainIntervalMs, renderPlainProgress, renderProgress } from "../../../cli/output/progress.js";
import { renderTable } from "../../../cli/output/table.js";
import { formatAge, formatBytes, formatDuration, formatTime } from "../../../cli/output/units.js";
import { Migration, Progress } from "../../../proto/gen/ferry/v1/model.js";

const copying = (progress: Partial<Progress>, more: Partial<Migration> = {}) =>
  Migration.create({
    step: "copy-disks",
    direction: "forward",
    progress: Progress.create(progress),
    ...more,
  });

describe("progress", () => {
  it.each([
    [{ totalBytes: 1000, doneBytes: 0 }, "copy-disks [--------------------]   0% 0 B of 1000 B"],
    [{ totalBytes: 1000, doneBytes: 999 }, "copy-disks [####################]  99% 999 B of 1000 B"],
    [{ totalBytes: 1000, doneBytes: 1200 }, "copy-disks [####################] 100% 1.2 KiB of 1000 B"],
    [
      { totalBytes: 2 ** 40, doneBytes: 2 ** 38, bytesPerSecond: 2 ** 27, etaMs: 6_500_000 },
      "copy-disks [#####---------------]  25% 256 GiB of 1 TiB, 128 MiB/s, 1h48m left",
    ],
    [
      { totalBytes: 2 ** 30, skippedBytes: 2 ** 30 - 4000, doneBytes: 1000 },
      "copy-disks [#####---------------]  25% 1000 B of 3.9 KiB",
    ],
    [{ totalBytes: 1000, skippedBytes: 1000 }, "copy-disks [####################] 100% 0 B of 0 B"],
    [{ totalBytes: 0 }, "copy-disks …"],
  ])("of %o is drawn", (progress, line) => {
    expect(renderProgress(copying(progress), 100)).toBe(line);
  });

  it("never exceeds the terminal, and drops the bar before the numbers", () => {
    const migration = copying({ totalBytes: 2 ** 40, doneBytes: 2 ** 38, bytesPerSecond: 2 ** 27, etaMs: 1 });
    for (let width = 1; width < 120; width++) {
      expect(renderProgress(migration, width).length).toBeLessThanOrEqual(width);
    }
    expect(renderProgress(migration, 60)).toBe("copy-disks  25% 256 GiB of 1 TiB, 128 MiB/s, 1s left");
  });

  it("says when the migration is on its way back", () => {
    expect(renderProgress(copying({}, { direction: "unwinding" }), 80)).toBe("unwinding copy-disks …");
    expect(renderProgress(Migration.create({}), 80)).toBe("");
  });

  it("of the copy is no news in any other step", () => {
    const done = { totalBytes: 10, doneBytes: 10 };
    expect(renderProgress(copying(done, { step: "define-target" }), 80)).toBe("define-target …");
    expect(renderProgress(copying(done, { direction: "unwinding" }), 80)).toBe("unwinding copy-disks …");
    expect(renderPlainProgress(copying(done, { direction: "unwinding" }))).toBe("");
    expect(renderPlainProgress(copying(done, { step: "release-target" }))).toBe("");
    expect(renderPlainProgress(copying(done, { step: "" }))).toBe("");
  });

  it("is told less and less often where it cannot be redrawn", () => {
    expect([0, 59_999, 60_000, 600_000, 6_000_000].map(plainIntervalMs)).toEqual([
      3000, 3000, 10_000, 30_000, 30_000,
    ]);
    expect(renderPlainProgress(copying({ totalBytes: 10, doneBytes: 5 }))).toBe(
      "copy-disks: 50% 5 B of 10 B",
    );
    expect(renderPlainProgress(copying({ totalBytes: 0 }))).toBe("");
  });
});

describe("units", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [2 ** 30, "1 GiB"],
    [123.4 * 2 ** 30, "123 GiB"],
    [2 ** 60, "1024 PiB"],
  ])("%d bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, "0ms"],
    [4249, "4.2s"],
    [9_999, "10s"],
    [75_000, "1m15s"],
    [119_900, "2m"],
    [3_600_000, "1h"],
    [90_000_000, "1d1h"],
  ])("%d ms are %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  it("tell times in UTC and ages from now; 0 is not yet", () => {
    expect(formatTime(1_700_000_000_000)).toBe("2023-11-14 22:13:20 UTC");
    expect([formatTime(0), formatAge(0, new Date())]).toEqual(["", "never"]);
    expect(formatAge(1_000, new Date(64_500))).toBe("1m3s ago");
  });
});

describe("a table", () => {
  it("is drawn as the OpenStack client draws it, numbers to the right", () => {
    const columns = [
      { title: "Name", value: ({ name }: { name: string; size: number }) => name },
      { title: "Size", value: ({ size }: { name: string; size: number }) => String(size), right: true },
    ];
    const rows = [
      { name: "a", size: 1 },
      { name: "longer\u001b[1m", size: 20_000 },
    ];
    expect(renderTable(columns, rows)).toBe(
      [
        "+------------+-------+",
        "| Name       |  Size |",
        "+------------+-------+",
        "| a          |     1 |",
        "| longer?[1m | 20000 |",
        "+------------+-------+",
        "",
      ].join("\n"),
    );
    expect(renderTable(columns, [])).toBe("+------+------+\n| Name | Size |\n+------+------+\n");
  });
});
