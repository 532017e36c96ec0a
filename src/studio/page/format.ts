/** Characters that are invisible, or reorder the text beside them. */
const controls = /[\p{Cc}\p{Bidi_Control}]/gu;
const strayControls = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu;

const escape = (character: string) =>
  `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;

/** Text of any content on one line, with its control characters escaped. */
export const shown = (text: string) => text.replaceAll(controls, escape);

/** Text of any content with its line breaks. */
export const shownLines = (text: string) => text.replaceAll(strayControls, escape);

export const count = (value: number) => String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  // Rounded down, so that no part reaches the next unit.
  if (ms < 1000) return `${Math.trunc(ms)} ms`;
  if (ms < 10_000) return `${(Math.trunc(ms / 100) / 10).toFixed(1)} s`;
  if (ms < 60_000) return `${Math.trunc(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let [amount, unit] = [value / 1024, 0];
  while (amount >= 1024 && unit < units.length - 1) [amount, unit] = [amount / 1024, unit + 1];
  return `${amount.toFixed(1)} ${units[unit]}`;
}

/** Only nothing is 0 %, and only all is 100 %. */
export function share(value: number | null): string {
  if (value === null) return "–";
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  if (percent > 99.9 && percent < 100) return "> 99.9 %";
  const isNearEnd = percent > 0 && percent < 100 && (percent < 10 || percent > 90);
  return `${percent.toFixed(isNearEnd ? 1 : 0)} %`;
}

/** A time of the API in the zone of the browser. */
export const time = (text: string | null | undefined) =>
  text === null || text === undefined ? "–" : timeOf(new Date(text));

const digits = (value: number) => String(value).padStart(2, "0");

/** In the zone of the browser, in the same form for every language. */
export function timeOf(at: Date): string {
  const date = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(digits).join("-");
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(digits).join(":")}`;
}

export const ms = (text: string) => new Date(text).getTime();

/** `totalBytes` becomes `total`: values are shown with their units. */
export const heading = (column: string) =>
  column.replace(/(Ms|Bytes)$/, "").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** A cell of a report. The name of its column says what it is. */
export function reportValue(column: string, value: string | number | null): string {
  if (value === null) return "–";
  if (typeof value === "string")
    return /At$|Start$|Since$/.test(column) ? time(value) : shown(value);
  if (column.endsWith("Ms")) return duration(value);
  if (column.endsWith("Bytes")) return bytes(value);
  return column.endsWith("Rate") ? share(value) : count(value);
}
