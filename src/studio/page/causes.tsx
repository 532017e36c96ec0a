import { shown } from "./format.ts";

interface StoredError {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** The name and the message of a stored error, and those of its causes. */
function causesOf(text: string): string[] {
  let error: unknown;
  try {
    error = JSON.parse(text) as unknown;
  } catch {
    return [];
  }
  const found: string[] = [];
  while (typeof error === "object" && error !== null && found.length < 20) {
    const { name, message, code, cause } = error as StoredError;
    const words = [name ?? code, message].filter((each) => typeof each === "string");
    if (words.length > 0) found.push(words.join(": "));
    error = cause;
  }
  return found;
}

export function Causes({ text }: { readonly text: string }) {
  const causes = causesOf(text);
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
