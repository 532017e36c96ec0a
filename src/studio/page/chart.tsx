import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { shown, timeOf } from "./format.ts";

export interface Series {
  readonly label: string;
  /** The name of a color of the style sheet. */
  readonly color: string;
  /** A value for each time; null for none. */
  readonly values: readonly (number | null)[];
}

const height = 220;

/** Lines over time. The table beside a chart has the same values. */
export function TimeChart({
  label,
  times,
  series,
  note,
  format,
}: {
  readonly label: string;
  /** In milliseconds, ascending. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** What the reader must know of the values: the size of a bucket, and the time zone. */
  readonly note: string;
  readonly format: (value: number) => string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const theme = useTheme();
  const content = JSON.stringify([times, series, theme]);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const color = (name: string) => colorOf(element, name);
    const axis = {
      stroke: color("muted"),
      grid: { stroke: color("line") },
      ticks: { stroke: color("line") },
    };
    const plot = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height,
        legend: { show: false },
        cursor: { drag: { x: false, y: false } },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [axis, { ...axis, size: 70, values: (_, ticks) => ticks.map(format) }],
        series: [
          {},
          ...series.map((each) => ({
            label: each.label,
            stroke: color(each.color),
            width: 2,
            points: { show: times.length < 60, size: 5 },
          })),
        ],
        hooks: { setCursor: [({ cursor }) => setPointed(cursor.idx ?? null)] },
      },
      [times.map((at) => at / 1000), ...series.map(({ values }) => [...values])],
      element,
    );
    const observer = new ResizeObserver(() =>
      plot.setSize({ width: Math.max(200, element.clientWidth), height }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [content]);
  const at = pointed === null ? undefined : times[pointed];
  return (
    <figure class="chart">
      <div ref={place} role="img" aria-label={label} />
      <figcaption>
        <div class="muted">{shown(note)}</div>
        {at === undefined ? "" : `${timeOf(new Date(at))}: `}
        {series.map(({ label: name, color, values }) => {
          const value = pointed === null ? null : values[pointed];
          return (
            <span key={name} class="legend">
              <span class={`dot color-${color}`} aria-hidden="true" />
              {shown(name)}
              {typeof value === "number" && ` ${format(value)}`}
            </span>
          );
        })}
      </figcaption>
    </figure>
  );
}

/** A color of the style sheet as a canvas takes it. */
function colorOf(element: HTMLElement, name: string): string {
  const probe = element.appendChild(document.createElement("span"));
  probe.style.color = `var(--${name})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Changes when the colors do. */
function useTheme(): string {
  const [theme, setTheme] = useState(currentTheme);
  useEffect(() => {
    const update = () => setTheme(currentTheme());
    const query = matchMedia("(prefers-color-scheme: dark)");
    query.addEventListener("change", update);
    const observer = new MutationObserver(update);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      query.removeEventListener("change", update);
      observer.disconnect();
    };
  }, []);
  return theme;
}

const currentTheme = () =>
  `${document.documentElement.dataset["theme"] ?? ""}${matchMedia("(prefers-color-scheme: dark)").matches}`;

/** Horizontal bars: the largest values of a report. */
export function Bars({
  label,
  rows,
  format,
}: {
  readonly label: string;
  readonly rows: readonly { readonly name: string; readonly value: number }[];
  readonly format: (value: number) => string;
}) {
  const most = Math.max(...rows.map(({ value }) => value), 1e-9);
  return (
    <ul class="bars" aria-label={label}>
      {rows.map(({ name, value }, index) => (
        <li key={index}>
          <bdi>{shown(name)}</bdi>
          <span class="bar-track" aria-hidden="true">
            <span class="bar" style={{ width: `${Math.max(0, (value / most) * 100)}%` }} />
          </span>
          <span class="number">{format(value)}</span>
        </li>
      ))}
    </ul>
  );
}
