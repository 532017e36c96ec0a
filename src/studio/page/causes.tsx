import { shown } from "./format.ts";

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
