import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { requestText, type Loaded, type Preview } from "./data.ts";
import { count, shown, shownLines } from "./format.ts";
import { addressOf, onNavigation, runAddress } from "./navigation.ts";

const symbols: Readonly<Record<string, string>> = {
  PENDING: "○",
  RUNNING: "▶",
  COMPLETED: "✓",
  FAILED: "✕",
  CANCELLED: "■",
  SKIPPED: "↷",
  RETRYING: "↻",
};

export function Status({ value }: { readonly value: string }) {
  return (
    <span class={`status ${value.toLowerCase()}`}>
      <span aria-hidden="true">{symbols[value] ?? "?"}</span> {shown(value)}
    </span>
  );
}

/** Text of any content. Its direction does not affect the text beside it. */
export function Text({ value, mono = false }: { readonly value: string; readonly mono?: boolean }) {
  return (
    <bdi class={mono ? "mono" : undefined} title={value.length > 24 ? shown(value) : undefined}>
      {shown(value)}
    </bdi>
  );
}

export const RunLink = ({ runId }: { readonly runId: string }) => (
  <a href={runAddress(runId)}>
    <Text mono value={runId} />
  </a>
);

/** The messages of an error and its causes. */
export function Causes({ causes }: { readonly causes: readonly string[] }) {
  if (causes.length === 0) return null;
  return (
    <ol class="causes">
      {causes.map((cause, index) => (
        <li key={index}>
          {index > 0 && <span class="muted">caused by </span>}
          <bdi>{shown(cause)}</bdi>
        </li>
      ))}
    </ol>
  );
}

export function Card({
  title,
  children,
  actions,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly actions?: ComponentChildren;
}) {
  const id = `card-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;
  return (
    <section class="card" aria-labelledby={id}>
      <div class="card-head">
        <h2 id={id}>{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}

export function Problem({
  message,
  retry,
}: {
  readonly message: string;
  readonly retry?: () => void;
}) {
  return (
    <div class="problem" role="alert">
      <p>{shownLines(message)}</p>
      {retry !== undefined && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export const Empty = ({ children }: { readonly children: ComponentChildren }) => (
  <p class="empty">{children}</p>
);

/** Shows the loading, error and empty states of an answer, and otherwise its content. */
export function Load<Value>({
  from,
  children,
}: {
  readonly from: Loaded<Value>;
  readonly children: (value: Value) => ComponentChildren;
}) {
  const { data, error, reload } = from;
  return (
    <>
      {error !== undefined && <Problem message={error.message} retry={reload} />}
      {data === undefined
        ? error === undefined && (
            <p class="loading" role="status">
              Loading…
            </p>
          )
        : children(data)}
    </>
  );
}

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Numbers are aligned at the right. */
  readonly isNumber?: boolean;
}

/** Longer tables have only their visible rows in the document. */
const longTable = 150;
const rowHeight = 37;

export function Table<Row>({
  label,
  columns,
  rows,
}: {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const isLong = rows.length > longTable;
  const visible = useVirtualRows(scroller, isLong ? rows.length : 0);
  const [from, to] = isLong ? visible : [0, rows.length];
  return (
    <div
      ref={scroller}
      class={isLong ? "table long" : "table"}
      role="region"
      aria-label={label}
      // Keys scroll it.
      tabIndex={0}
    >
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {columns.map(({ title, isNumber }) => (
              <th key={title} scope="col" class={isNumber ? "number" : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <Space rows={from} columns={columns.length} />}
          {rows.slice(from, to).map((row, index) => (
            <tr key={from + index} aria-rowindex={from + index + 2}>
              {columns.map(({ title, cell, isNumber }) => (
                <td key={title} class={isNumber ? "number" : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {to < rows.length && <Space rows={rows.length - to} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

const Space = ({ rows, columns }: { readonly rows: number; readonly columns: number }) => (
  <tr aria-hidden="true">
    <td colSpan={columns} class="space" style={{ height: `${rows * rowHeight}px` }} />
  </tr>
);

/** The first visible row and the first row after the visible ones. */
function useVirtualRows(
  scroller: { readonly current: HTMLDivElement | null },
  length: number,
): readonly [number, number] {
  const [, update] = useState({});
  const [virtualizer] = useState(
    () =>
      new Virtualizer<HTMLDivElement, HTMLTableRowElement>({
        count: length,
        getScrollElement: () => scroller.current,
        estimateSize: () => rowHeight,
        overscan: 20,
        scrollToFn: elementScroll,
        observeElementRect,
        observeElementOffset,
        initialRect: { width: 0, height: 800 },
      }),
  );
  virtualizer.setOptions({ ...virtualizer.options, count: length, onChange: () => update({}) });
  // The adapters for other frameworks call these too.
  // oxlint-disable-next-line no-underscore-dangle
  useLayoutEffect(() => virtualizer._didMount(), []);
  // oxlint-disable-next-line no-underscore-dangle
  useLayoutEffect(() => virtualizer._willUpdate());
  const items = virtualizer.getVirtualItems();
  return [items[0]?.index ?? 0, (items.at(-1)?.index ?? -1) + 1];
}

const characters = (length: number) =>
  `${count(length)} ${length === 1 ? "character" : "characters"}`;

/** A payload as text, with links to the rest of it. */
export function Payload({
  title,
  preview,
  runId,
  kind,
  stepId,
}: {
  readonly title: string;
  readonly preview: Preview;
  readonly runId: string;
  readonly kind: string;
  readonly stepId?: string;
}) {
  const address = (download?: string) =>
    addressOf("payload", { id: runId, kind, step: stepId, download });
  /** The whole text of a preview, which may have changed since. */
  const [whole, setWhole] = useState<{ readonly of: string; readonly text: string } | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const isCut = preview.length > preview.text.length;
  const full = whole?.of === preview.text ? whole.text : null;
  const showAll = () => {
    setFailure(null);
    return requestText(address()).then(
      (text) => setWhole({ of: preview.text, text }),
      (error: Error) => setFailure(error.message),
    );
  };
  return (
    <section class="payload" aria-label={title}>
      <div class="card-head">
        <h3>{title}</h3>
        <span class="muted">{characters(preview.length)}</span>
        <a href={`api/${address("1")}`} download>
          Download
        </a>
      </div>
      <pre tabIndex={0} aria-label={`${title} as JSON`}>
        {shownLines(full ?? preview.text)}
        {isCut && full === null && "…"}
      </pre>
      {failure !== null && <Problem message={failure} />}
      {isCut && full === null && (
        <button type="button" onClick={() => void showAll()}>
          Show all {characters(preview.length)}
        </button>
      )}
    </section>
  );
}

/** A modal dialog. Escape closes it, and the way to another page. */
export function Dialog({
  title,
  children,
  onClose,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    const stop = onNavigation(onClose);
    return () => {
      stop();
      // Returns the focus.
      element?.close();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
