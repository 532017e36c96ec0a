import { useMemo } from "preact/hooks";

const hourMs = 3_600_000;

export const periods = {
  "1h": { title: "Last hour", ms: hourMs, per: "hour" },
  "24h": { title: "Last 24 hours", ms: 24 * hourMs, per: "hour" },
  "7d": { title: "Last 7 days", ms: 7 * 24 * hourMs, per: "day" },
  "30d": { title: "Last 30 days", ms: 30 * 24 * hourMs, per: "day" },
  all: { title: "All time", ms: null, per: "month" },
} as const;

export type Period = keyof typeof periods;

export const periodOf = (text: string | null): Period =>
  text !== null && Object.hasOwn(periods, text) ? (text as Period) : "24h";

/** When the period begins, in whole minutes, so that viewers share the answers; null for all time. */
export function useSince(period: Period): string | null {
  const { ms } = periods[period];
  const minute = Math.floor(Date.now() / 60_000);
  return useMemo(
    () => (ms === null ? null : new Date(minute * 60_000 - ms).toISOString()),
    [ms, minute],
  );
}

export function PeriodChoice({
  value,
  onChange,
}: {
  readonly value: Period;
  readonly onChange: (value: Period) => void;
}) {
  return (
    <label>
      Period{" "}
      <select
        value={value}
        onChange={({ currentTarget }) => onChange(periodOf(currentTarget.value))}
      >
        {Object.entries(periods).map(([name, { title }]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}
