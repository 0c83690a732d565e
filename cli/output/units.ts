/** Sizes, durations and times for people; JSON output carries the raw numbers instead. */

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), SIZE_UNITS.length - 1);
  const value = bytes / 1024 ** power;
  const digits = power === 0 || value >= 100 ? 0 : 1;
  return `${trimZero(value.toFixed(digits))} ${SIZE_UNITS[power] ?? "B"}`;
}

export const formatRate = (bytesPerSecond: number): string => `${formatBytes(bytesPerSecond)}/s`;

/** `4250` → `4.3s`, `75000` → `1m15s`, two units at most. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${trimZero((ms / 1000).toFixed(1))}s`;
  const seconds = Math.round(ms / 1000);
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days}d${pair(hours, "h")}`;
  if (hours > 0) return `${hours}h${pair(minutes, "m")}`;
  if (minutes > 0) return `${minutes}m${pair(seconds % 60, "s")}`;
  return `${seconds}s`;
}

/** `2026-11-20 12:00:03 UTC`; empty for 0, which means "not yet". */
export function formatTime(ms: number): string {
  return ms === 0 ? "" : `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `3s ago`; `never` for 0. */
export function formatAge(ms: number, now: Date): string {
  if (ms === 0) return "never";
  const ageMs = now.getTime() - ms;
  return ageMs < 1000 ? "just now" : `${formatDuration(Math.floor(ageMs / 1000) * 1000)} ago`;
}

const trimZero = (text: string): string => text.replace(/\.0$/, "");
const pair = (value: number, unit: string): string => (value === 0 ? "" : `${value}${unit}`);
