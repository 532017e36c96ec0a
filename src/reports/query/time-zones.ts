import * as z from "zod/mini";

/** From `at` until the next one, clocks show UTC plus `offset`. In milliseconds. */
interface Offset {
  readonly at: number;
  readonly offset: number;
}

/** Before and after these times, the first and the last offset apply. */
const [firstTime, lastTime] = [Date.UTC(1970, 0, 1), Date.UTC(2070, 0, 1)];
const maximum = "9223372036854775807";
/** Two changes of an offset are at least seven days apart. */
const probeMs = 6 * 86_400_000;

export const timeZoneSchema = z.string().check(z.refine(isTimeZone, "must be an IANA time zone"));

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).formatToParts().length > 0;
  } catch {
    return false;
  }
}

const known = new Map<string, readonly Offset[]>();

/** The offsets of an IANA time zone from 1970 to 2070. */
function offsetsOf(zone: string): readonly Offset[] {
  const cached = known.get(zone);
  if (cached !== undefined) return cached;
  const offsetAt = clockOf(zone);
  const offsets: Offset[] = [{ at: firstTime, offset: offsetAt(firstTime) }];
  for (let before = firstTime; before < lastTime; before += probeMs) {
    const offset = offsetAt(before + probeMs);
    if (offset === offsets.at(-1)?.offset) continue;
    let [last, changed] = [before, before + probeMs];
    while (changed - last > 1000) {
      const middle = Math.floor((last + changed) / 2000) * 1000;
      if (offsetAt(middle) === offset) changed = middle;
      else last = middle;
    }
    offsets.push({ at: changed, offset });
  }
  known.set(zone, offsets);
  return offsets;
}

/** The offset of a zone at a time. */
function clockOf(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  return (at) => {
    // For example 1/1/1970, GMT-00:44:30
    const [, sign, hours, minutes, seconds = 0] =
      /GMT([+-])(\d+):(\d+):?(\d+)?$/.exec(format.format(at)) ?? [];
    if (sign === undefined) return 0;
    const size = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
    return (sign === "+" ? size : -size) * 1000;
  };
}

/** What the clocks of the zone show at `at`. */
export function localTimeOf(at: number, zone: string): number {
  const offsets = offsetsOf(zone);
  const { offset } = (offsets.findLast(({ at: from }) => from <= at) ?? offsets[0]) as Offset;
  return at + offset;
}

/** The first time at which the clocks of the zone show `local` or later. */
export function timeAtLocal(local: number, zone: string): number {
  const offsets = offsetsOf(zone);
  const index = offsets.findLastIndex(({ at }, each) => {
    const before = offsets[each - 1];
    return before === undefined || at + before.offset <= local;
  });
  const { at, offset } = offsets[index] as Offset;
  return index === 0 ? local - offset : Math.max(at, local - offset);
}

/** What the clocks of the zone show at `at`, as SQL. `at` is SQL, and both are milliseconds since 1970. */
export function localTime(at: string, zone: string): string {
  const offsets = offsetsOf(zone).map(({ at: from, offset }) => ({ from, value: String(offset) }));
  return `${at} + ${choose(offsets, at)}`;
}

/** The next change of the offset after `at`, as SQL. The last offset has no end. */
export function nextChange(at: string, zone: string): string {
  const offsets = offsetsOf(zone);
  const changes = offsets.map(({ at: from }, index) => ({
    from,
    value: String(offsets[index + 1]?.at ?? maximum),
  }));
  return choose(changes, at);
}

/** The first time at which the clocks of the zone show `local` or later, as SQL. */
export function firstTimeOf(local: string, zone: string): string {
  const offsets = offsetsOf(zone);
  const times = offsets.map(({ at, offset }, index) => {
    const before = offsets[index - 1];
    const time = `${local} - ${offset}`;
    return before === undefined
      ? { from: at, value: time }
      : // If the clocks skip `local`, it is the time of the change.
        { from: at + before.offset, value: `max(${at}, ${time})` };
  });
  return choose(times, local);
}

interface Choice {
  readonly from: number;
  readonly value: string;
}

/** The value of the last choice that begins at `key` or before, as nested conditions in SQL. */
function choose(choices: readonly Choice[], key: string): string {
  const middle = Math.floor(choices.length / 2);
  const { from, value } = choices[middle] as Choice;
  if (middle === 0) return value;
  const [earlier, later] = [choices.slice(0, middle), choices.slice(middle)];
  return `iif(${key} < ${from}, ${choose(earlier, key)}, ${choose(later, key)})`;
}
