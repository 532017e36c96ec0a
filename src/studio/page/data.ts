import { useCallback, useEffect, useRef, useState } from "preact/hooks";

interface ApiError {
  readonly code: string;
  readonly message: string;
}

export type Part<Value> = { readonly value: Value } | { readonly error: ApiError };

export interface Preview {
  readonly text: string;
  readonly length: number;
}

/** @throws {Error} with the message of the studio. */
export async function request<Value>(path: string, init: RequestInit = {}): Promise<Value> {
  return JSON.parse(await requestText(path, init)) as Value;
}

/** @throws {Error} with the message of the studio. */
export async function requestText(path: string, init: RequestInit = {}): Promise<string> {
  let response: Response;
  try {
    response = await fetch(new URL(`api/${path}`, document.baseURI), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Error("The studio does not answer. Is it still running?", { cause: error });
  }
  const text = await response.text();
  if (response.ok) return text;
  let message = text.trim();
  try {
    message = (JSON.parse(text) as { error: ApiError }).error.message;
  } catch {
    // An error of a proxy is not JSON.
  }
  throw new Error(message === "" ? `The request failed with status ${response.status}.` : message);
}

export const post = <Value>(path: string, body: unknown, signal?: AbortSignal) =>
  request<Value>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal !== undefined && { signal }),
  });

type LiveState = "connecting" | "live" | "trouble";

const live = {
  source: null as EventSource | null,
  runId: null as string | null,
  state: "connecting" as LiveState,
  message: "",
  listeners: new Set<() => void>(),
  stateListeners: new Set<() => void>(),
};

function setLive(state: LiveState, message = ""): void {
  if (live.state === state && live.message === message) return;
  Object.assign(live, { state, message });
  for (const listener of live.stateListeners) listener();
}

function reloadAll(): void {
  setLive("live");
  for (const listener of live.listeners) listener();
}

const reconnectMs = 3000;

function connect(): void {
  live.source?.close();
  live.source = null;
  if (document.hidden) return;
  const url = new URL("api/live", document.baseURI);
  if (live.runId !== null) url.searchParams.set("id", live.runId);
  const source = new EventSource(url);
  live.source = source;
  source.addEventListener("hello", reloadAll);
  source.addEventListener("changed", reloadAll);
  source.addEventListener("refresh", reloadAll);
  source.addEventListener("trouble", (event) =>
    setLive("trouble", (JSON.parse(event.data as string) as ApiError).message),
  );
  source.addEventListener("error", () => {
    setLive("trouble", "The studio does not answer.");
    // The browser connects again by itself, but not after an answer with an error, such as that of a proxy.
    if (source.readyState === EventSource.CLOSED)
      setTimeout(() => void reconnect(source), reconnectMs);
  });
}

/** A request that the studio refuses, such as one for an id that is too long, is not repeated. */
async function reconnect(source: EventSource): Promise<void> {
  if (live.source !== source) return;
  const answer = await fetch(source.url, { method: "HEAD" }).catch(() => null);
  if (live.source !== source) return;
  const isRefused = answer !== null && [400, 401, 403, 404].includes(answer.status);
  if (isRefused) setLive("trouble", "The studio refuses to send updates of this page.");
  else connect();
}

/** Opens the stream of changes of one run, or of all. It is closed while the page is hidden. */
export function useLiveUpdates(runId: string | null): void {
  useEffect(() => {
    live.runId = runId;
    connect();
    document.addEventListener("visibilitychange", connect);
    return () => document.removeEventListener("visibilitychange", connect);
  }, [runId]);
}

export function useLiveState(): { readonly state: LiveState; readonly message: string } {
  const [state, setState] = useState({ state: live.state, message: live.message });
  useEffect(() => {
    const update = () => setState({ state: live.state, message: live.message });
    live.stateListeners.add(update);
    return () => void live.stateListeners.delete(update);
  }, []);
  return state;
}

/** How often changes are read: at once, four times a minute, or only when asked. */
export type Freshness = "live" | "slow" | "once";

const shortestMs: Readonly<Record<Freshness, number>> = { live: 0, slow: 15_000, once: Infinity };

/** A read that took long is repeated rarely: the studio spends a twentieth of the time on it. */
const restFactor = 20;

export interface Loaded<Value> {
  /** The last answer; undefined before the first. */
  readonly data: Value | undefined;
  readonly error: Error | undefined;
  readonly reload: () => void;
}

interface State<Value> {
  readonly path: string | null;
  readonly data?: Value;
  readonly error?: Error;
}

/** The answer of the API to a GET, which is read again after changes. Null for none. */
export function useData<Value>(path: string | null, freshness: Freshness = "live"): Loaded<Value> {
  const [state, setState] = useState<State<Value>>({ path });
  const last = useRef({ at: 0, took: 0, isBusy: false });
  const abort = useRef<AbortController | null>(null);
  const latest = useRef(path);
  latest.current = path;
  const load = useCallback(async () => {
    // A caller may have `reload` of an earlier path.
    if (path === null || path !== latest.current) return;
    abort.current?.abort();
    const own = new AbortController();
    abort.current = own;
    const from = Date.now();
    last.current.isBusy = true;
    try {
      const data = await request<Value>(path, { signal: own.signal });
      if (!own.signal.aborted) setState({ path, data });
    } catch (error) {
      if (own.signal.aborted) return;
      const failure = error instanceof Error ? error : new Error(String(error));
      // Earlier data stays visible, with the error.
      setState((before) =>
        before.path === path ? { ...before, error: failure } : { path, error: failure },
      );
    } finally {
      const at = Date.now();
      if (abort.current === own) last.current = { at, took: at - from, isBusy: false };
    }
  }, [path]);
  useEffect(() => {
    void load();
    const onChange = () => {
      const { at, took, isBusy } = last.current;
      const rest = Math.max(shortestMs[freshness], took * restFactor);
      if (!isBusy && (Date.now() - at >= rest || took < 40) && freshness !== "once") {
        if (Date.now() - at >= shortestMs[freshness]) void load();
      }
    };
    live.listeners.add(onChange);
    return () => {
      live.listeners.delete(onChange);
      abort.current?.abort();
    };
  }, [load, freshness]);
  const isCurrent = state.path === path;
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : undefined,
    reload: () => void load(),
  };
}
