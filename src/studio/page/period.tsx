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

/** The parameter of a report: the studio counts the time from its own clock. Null for all time. */
export const lastMsOf = (period: Period): string | null => {
  const { ms } = periods[period];
  return ms === null ? null : String(ms);
};

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
