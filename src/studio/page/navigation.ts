import { useEffect, useState } from "preact/hooks";

const base = new URL(document.baseURI).pathname;

/** The page that the address names, and its parameters. */
export interface Place {
  readonly page: string;
  readonly params: URLSearchParams;
}

function currentPlace(): Place {
  const { pathname, searchParams } = new URL(location.href);
  return { page: pathname.slice(base.length).replace(/\/$/, ""), params: searchParams };
}

const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of listeners) listener();
}

/** Shows another page. `address` is relative to the studio: `runs?status=FAILED`. */
export function navigate(address: string, { replace = false } = {}): void {
  const url = new URL(address, document.baseURI);
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  if (!replace) scrollTo(0, 0);
  changed();
}

export function usePlace(): Place {
  const [place, setPlace] = useState(currentPlace);
  useEffect(() => onNavigation(() => setPlace(currentPlace())), []);
  return place;
}

/** Calls `listener` when another page or other parameters are shown, until the returned function is called. */
export function onNavigation(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Makes links to other pages of the studio load no document, and removes the token from the address. */
export function startNavigation(): void {
  const url = new URL(location.href);
  if (url.searchParams.has("token")) {
    url.searchParams.delete("token");
    history.replaceState(null, "", url);
  }
  addEventListener("popstate", changed);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (link === null || !isPlain || link.download !== "" || link.target !== "") return;
    const { origin, pathname, search } = new URL(link.href);
    const isOurs = origin === location.origin && pathname.startsWith(base);
    if (!isOurs || pathname.startsWith(`${base}api/`) || event.defaultPrevented) return;
    event.preventDefault();
    navigate(pathname.slice(base.length) + search);
  });
}

/** The address of a page with the given parameters. Those that are empty are left out. */
export function addressOf(
  page: string,
  params: Readonly<Record<string, string | readonly string[] | null | undefined>> = {},
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of [value ?? []].flat()) if (each !== "") search.append(name, each);
  }
  const text = search.toString();
  return text === "" ? page : `${page}?${text}`;
}

/** The address of a page of the studio, of a run. */
export const runAddress = (runId: string) => addressOf("run", { id: runId });

/** A field of a form. */
export function fieldOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
}
