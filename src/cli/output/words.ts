/** Formats values for text output. JSON contains them unchanged. */

/** Printed for null. */
export const absent = "-";

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return "unknown";
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  // A value that would be printed as 1024.0 becomes 1.0 of the next unit.
  for (; value >= 1023.95 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** To the second, in UTC or in a time zone with its offset. It sorts in UTC, and options accept it. */
export function formatTime(time: Date | null, zone = "UTC"): string {
  if (time === null) return absent;
  if (zone === "UTC") return time.toISOString().replace(/\.\d+Z$/, "Z");
  const [day, clock, offset] = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "longOffset",
  })
    .format(time)
    .split(" ");
  // This locale writes a minus sign, U+2212, which no program reads as part of a time.
  return `${day}T${clock}${offset?.replace(/^GMT$/, "Z").replace("GMT", "").replace("\u2212", "-")}`;
}

/** At most two units: 12 ms, 3.4 s, 2 min 5 s, 3 h 20 min, 90 d 0 h. */
export function formatDuration(duration: number | null): string {
  if (duration === null) return absent;
  if (duration < 0) return `-${formatDuration(-duration)}`;
  // Rounded before the unit is chosen: 999.6 ms is 1.0 s, and 59.96 s is a minute.
  const milliseconds = Math.round(duration);
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const tenths = Math.round(milliseconds / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.floor(milliseconds / 1000 + 0.05);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A share of 1. Only 0 is printed as 0 %, and only 1 as 100 %. */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent <= 0 || percent >= 100) return `${Math.round(percent)} %`;
  const shown = percent < 10 || percent > 99 ? percent.toFixed(1) : percent.toFixed(0);
  if (Number(shown) === 0) return "< 0.1 %";
  return Number(shown) === 100 ? "> 99.9 %" : `${shown} %`;
}
