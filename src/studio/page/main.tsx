import { render } from "preact";
import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks";
import { useData, useLiveState, useLiveUpdates } from "./data.ts";
import { shownLines } from "./format.ts";
import { navigate, startNavigation, usePlace } from "./navigation.ts";
import { Overview } from "./overview.tsx";
import { Problem } from "./parts.tsx";
import { Reports } from "./reports.tsx";
import { RunPage } from "./run.tsx";
import { Runs } from "./runs.tsx";
import { SchemaPage } from "./schema.tsx";
import type { WorkflowLabels } from "./labels.tsx";
import { Workflows } from "./workflows.tsx";

const pages = [
  { page: "", title: "Overview" },
  { page: "runs", title: "Runs" },
  { page: "workflows", title: "Workflows" },
  { page: "reports", title: "Reports" },
  { page: "schema", title: "Schema" },
];

const themes = ["auto", "light", "dark"] as const;
/** An app that mounts the studio shares its storage. */
const themeKey = "gorkflow-studio-theme";

interface Meta {
  readonly readOnly: boolean;
  readonly hasReports: boolean;
  readonly workflows: readonly WorkflowLabels[];
}

function App() {
  const { page, params } = usePlace();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const meta = useData<Meta>("meta", "once");
  const runId = page === "run" ? (params.get("id") ?? "") : null;
  const title = runId !== null ? "Run" : (pages.find((each) => each.page === page)?.title ?? "");
  useLiveUpdates(runId === "" ? null : runId);
  useEffect(() => {
    document.title = title === "" ? "Gorkflow Studio" : `${title} · Gorkflow Studio`;
    // A screen reader reads the new page; the first one is read anyway.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [page, runId]);
  const canChange = meta.data?.readOnly === false;
  const hasReports = meta.data?.hasReports ?? true;
  const labels = meta.data?.workflows ?? [];
  return (
    <>
      <a
        class="skip"
        href={location.href}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <header>
        <a class="brand" href="./">
          Gorkflow Studio
        </a>
        <nav aria-label="Pages">
          {pages.map((each) => (
            <a
              key={each.page}
              href={each.page === "" ? "./" : each.page}
              aria-current={
                each.page === page || (each.page === "runs" && page === "run") ? "page" : undefined
              }
            >
              {each.title}
            </a>
          ))}
        </nav>
        <div class="tools">
          {meta.data?.readOnly === true && <span class="badge">read-only</span>}
          <LiveState />
          <ThemeChoice />
        </div>
      </header>
      <main ref={main} tabIndex={-1}>
        {meta.error !== undefined && <Problem message={meta.error.message} retry={meta.reload} />}
        <PageErrors key={page} filter={params.toString()}>
          {page === "" && <Overview hasReports={hasReports} />}
          {page === "runs" && <Runs params={params} canChange={canChange} />}
          {runId !== null && (
            <RunPage key={runId} runId={runId} labels={labels} canChange={canChange} />
          )}
          {page === "workflows" && (
            <Workflows
              params={params}
              hasReports={hasReports}
              labels={labels}
              canChange={canChange}
            />
          )}
          {page === "reports" && <Reports params={params} hasReports={hasReports} />}
          {page === "schema" && <SchemaPage hasReports={hasReports} />}
        </PageErrors>
      </main>
    </>
  );
}

/** Shows an error of a page instead of it. The navigation stays. */
function PageErrors({
  filter,
  children,
}: {
  readonly filter: string;
  readonly children: ComponentChildren;
}) {
  const [error, reset] = useErrorBoundary((thrown) => console.error(thrown));
  useEffect(reset, [filter]);
  if (error === undefined) return <>{children}</>;
  return (
    <Problem message={`The page cannot be shown: ${(error as Error).message}`} retry={reset} />
  );
}

function LiveState() {
  const { state, message } = useLiveState();
  const text = { connecting: "connecting", live: "live", trouble: "not live" }[state];
  return (
    <span class={`live ${state}`} role="status" title={shownLines(message)}>
      <span aria-hidden="true">●</span> {text}
    </span>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState(() => storage()?.getItem(themeKey) ?? "auto");
  useEffect(() => {
    storage()?.setItem(themeKey, theme);
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  return (
    <label>
      <span class="hidden">Colors</span>
      <select value={theme} onChange={({ currentTarget }) => setTheme(currentTarget.value)}>
        {themes.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Null if the browser permits no storage. */
function storage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

function focusSearch(): boolean {
  const field = document.querySelector<HTMLElement>("#find-run");
  field?.focus();
  return field !== null;
}

/**
 * Moves the focus of an element that is removed, such as a button that is not offered after a change, to what contained
 * it. The keyboard and a screen reader continue there.
 */
function keepFocus(page: Element): void {
  let focused: Element[] = [];
  addEventListener("focusin", ({ target }) => {
    focused = [];
    for (let each = target as Element | null; each !== null; each = each.parentElement) {
      focused.push(each);
    }
  });
  const observer = new MutationObserver(() => {
    const [last, ...around] = focused;
    if (last === undefined || last.isConnected || document.activeElement !== document.body) return;
    const place = around.find((each) => each.isConnected);
    if (!(place instanceof HTMLElement) || !page.contains(place)) return;
    if (place.tabIndex < 0) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  });
  observer.observe(page, { childList: true, subtree: true });
}

startNavigation();
addEventListener("keydown", (event) => {
  // A key without a modifier would be pressed by mistake, by voice control for example.
  const isSearch = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
  const isModal = document.querySelector("dialog[open]") !== null;
  if (!isSearch || event.altKey || event.shiftKey || isModal) return;
  event.preventDefault();
  // At once, if it is there, so that no character typed after the key is lost.
  if (focusSearch()) return;
  navigate("runs");
  setTimeout(focusSearch);
});
const root = document.querySelector("#app");
if (root !== null) {
  render(<App />, root);
  keepFocus(root);
}
