/** Values in the words of the command's text; JSON has them as they are. */

const absent = "-";

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

/** UTC, to the second: what sorts and what can be given to an option again. */
export function formatTime(time: Date | null): string {
  return time === null ? absent : `${time.toISOString().slice(0, 19)}Z`;
}
