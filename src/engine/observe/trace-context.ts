/** The key of the start's span in a context that an app has given to `start`. */
const traceKey = "gorkflow.trace";

/** The context to store: that of the app with the fields of the start's span. An empty one is stored without them. */
export function withTrace(context: object | null, trace: object | null): object | null {
  const isEmpty = context !== null && Object.keys(context).length === 0;
  return trace === null || isEmpty ? context : { ...context, [traceKey]: trace };
}

/** The fields of the start's span in a stored context. An app that creates runs itself may store them without the key. */
export function traceOf(context: unknown): unknown {
  return hasTrace(context) ? context[traceKey] : context;
}

/** The context that the app gave to `start`; null if it gave none. */
export function withoutTrace(context: unknown): unknown {
  if (!hasTrace(context)) return context;
  const { [traceKey]: _, ...own } = context;
  return Object.keys(own).length === 0 ? null : own;
}

/** The id of the trace in which a run with this context was started; null if there is none. */
export function traceIdOf(context: unknown): string | null {
  if (!hasTrace(context)) return null;
  const { traceparent } = Object(context[traceKey]) as { readonly traceparent?: unknown };
  return /^[\da-f]{2}-(?!0+-)([\da-f]{32})-/.exec(String(traceparent))?.[1] ?? null;
}

function hasTrace(context: unknown): context is { readonly [traceKey]: unknown } {
  return typeof context === "object" && context !== null && Object.hasOwn(context, traceKey);
}
