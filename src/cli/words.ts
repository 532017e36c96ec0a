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

/** To a length that one can imagine: 12 ms, 3.4 s, 2 min 5 s, 3 h 20 min. */
export function formatDuration(duration: number | null): string {
  if (duration === null) return absent;
  if (duration < 1000) return `${Math.round(duration)} ms`;
  const seconds = duration / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  return hours === 0
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${hours} h ${minutes % 60} min`;
}

/** A part of 1. */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function orAbsent(text: string | null): string {
  return text ?? absent;
}
